package rest_test

import (
	"net/http"
	"strings"
	"testing"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/environment"
	"github.com/virtplane/virtplane/pkg/registry/kubevirt/migration"
	"github.com/virtplane/virtplane/pkg/registry/registrytest"
)

// TestMigrationsNeedAController refuses a migration that nobody would act on, and lets go of one that an earlier release has held.
func TestMigrationsNeedAController(t *testing.T) {
	s := registrytest.Start(t)
	const path = "/apis/kubevirt.io/v1/namespaces/default/virtualmachineinstancemigrations"
	body := func(spec string) string {
		return `{"apiVersion":"kubevirt.io/v1","kind":"VirtualMachineInstanceMigration","metadata":{"name":"m","finalizers":["kubevirt.io/migrationJobFinalize","of.somebody/else"]},"spec":` + spec + `}`
	}
	for _, query := range []string{"", "?dryRun=All"} {
		a := s.Do(registrytest.Admin, http.MethodPost, path+query, "application/json", body(`{"vmiName":"a"}`))
		if a.Code != http.StatusUnprocessableEntity || !strings.Contains(a.Message(), "spec.vmiName: Forbidden: this version does not migrate instances, and nobody would act on the object: stop the machine and start it") {
			t.Errorf("a migration%s: %d %s", query, a.Code, a.Message())
		}
	}
	a := s.Do(registrytest.Admin, http.MethodPost, path, "application/json", body(`{"priority":"urgent"}`))
	for _, want := range []string{"spec.vmiName: Required value", "spec.priority: Unsupported value", "spec.vmiName: Forbidden"} {
		if !strings.Contains(a.Message(), want) {
			t.Errorf("of all that is wrong %q is not told: %s", want, a.Message())
		}
	}

	m := &virtv1.VirtualMachineInstanceMigration{}
	m.Finalizers = []string{virtv1.VirtualMachineMigrationFinalizer, "of.somebody/else"}
	for served, want := range map[bool]int{true: 2, false: 1} {
		changed := m.DeepCopy()
		migration.NewStrategy(s.Scheme, environment.Environment{Migrations: served}).PrepareForUpdate(t.Context(), changed, m)
		if len(changed.Finalizers) != want || changed.Finalizers[want-1] != "of.somebody/else" {
			t.Errorf("with a controller %v: the finalizers are %v", served, changed.Finalizers)
		}
	}
}
