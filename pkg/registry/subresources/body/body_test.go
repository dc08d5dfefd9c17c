package body

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

func TestDecode(t *testing.T) {
	for _, row := range []struct {
		name, body string
		want       virtv1.StopOptions
		fails      string
	}{
		{name: "nothing"},
		{name: "blank", body: "  \n"},
		{name: "null", body: "null"},
		{name: "JSON", body: `{"gracePeriod":3}`, want: virtv1.StopOptions{GracePeriod: ptr.To(int64(3))}},
		{name: "JSON with kind and more", body: `{"kind":"StopOptions","apiVersion":"kubevirt.io/v1","gracePeriod":0,"more":1}`,
			want: virtv1.StopOptions{GracePeriod: ptr.To(int64(0))}},
		{name: "YAML", body: "gracePeriod: 3\ndryRun: [All]\n", want: virtv1.StopOptions{GracePeriod: ptr.To(int64(3)), DryRun: []string{"All"}}},
		{name: "list", body: "[]", fails: "Can not unmarshal Request body to struct, error: "},
		{name: "word", body: "now", fails: "Can not unmarshal Request body to struct, error: "},
		{name: "too long", body: `{"gracePeriod": 1` + strings.Repeat(" ", maxLength), fails: "limit is 1048576"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got virtv1.StopOptions
			err := Decode(strings.NewReader(row.body), &got)
			if row.fails != "" {
				if err == nil || !strings.Contains(err.Error(), row.fails) || !(apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err)) {
					t.Errorf("Decode: %v, want %q", err, row.fails)
				}
				return
			}
			if err != nil {
				t.Fatalf("Decode: %v", err)
			}
			got.TypeMeta = row.want.TypeMeta
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("Options (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzBody decodes whatever a client may send as the body of an action. Failures are the client's, and nothing panics.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"gracePeriod":1,"dryRun":["All"],"paused":true}`, "gracePeriod: 1\n", "a: &a [*a]", "---\n---\n{", "\x00", "{\"a\":", "!!binary |\n  x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, into := range []any{&virtv1.StartOptions{}, &virtv1.StopOptions{}, &virtv1.RestartOptions{}, &virtv1.PauseOptions{}, &virtv1.VirtualMachine{}} {
			if err := Decode(bytes.NewReader(body), into); err != nil && !apierrors.IsBadRequest(err) && !apierrors.IsRequestEntityTooLargeError(err) {
				t.Errorf("Decode into %T: %v, want a bad request", into, err)
			}
		}
	})
}
