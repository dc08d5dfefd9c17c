package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/virtplane/virtplane/pkg/generated/openapi"
	"github.com/virtplane/virtplane/test/bench/crd"
	"github.com/virtplane/virtplane/test/bench/report"
	"github.com/virtplane/virtplane/test/integration/harness"
)

const (
	loadClients = 8
	roundLimit  = 20 * time.Minute
	virtAPIPort = 8443
)

// apiRound measures one side, in servers that were started for it: kube-apiserver with its etcd, and virt-api with its
// store. Both APIs are installed whichever side is measured.
type apiRound struct {
	side    apiSide
	size    apiSize
	out     string
	host    *harness.Host
	clients []*apiClient
	meter   meter
	// results by metric; cpu is what the servers used in the phases that both sides have.
	results map[string]float64
	cpu     map[string]float64
}

// runAPIRound does not return: the surroundings end with the process.
func runAPIRound(args []string) error {
	sides := map[string]apiSide{ourSide.name: ourSide, crdSide.name: crdSide, embeddedSide.name: embeddedSide}
	size := fullSize.api
	if len(args) > 0 && args[0] == shortFlag {
		args, size = args[1:], shortSize.api
	}
	if len(args) != 2 || sides[args[0]].name == "" {
		return fmt.Errorf("usage: bench api-round [%s] ours|crd|embedded FILE", shortFlag)
	}
	r := &apiRound{side: sides[args[0]], size: size, out: args[1], results: map[string]float64{}, cpu: map[string]float64{}}
	harness.Main(r, r.start, harness.Durable)
	return nil
}

func (r *apiRound) start(ctx context.Context, h *harness.Host) (stop func(), err error) {
	r.host = h
	if err := h.Register(ctx, virtAPIPort); err != nil {
		return nil, err
	}
	var running []interface{ Stop() }
	stop = func() {
		for _, p := range slices.Backward(running) {
			p.Stop()
		}
	}
	defer func() {
		if err != nil {
			stop()
			stop = nil
		}
	}()
	var api *harness.VirtAPI
	if r.side.embedded {
		api, err = h.StartVirtAPI("virt-api", virtAPIPort, "--embedded-etcd="+h.TempDir("store"))
		if err != nil {
			return stop, err
		}
		running = append(running, api)
	} else {
		_, storeFile, err := h.ServiceAccount(ctx, "virt-store", nil)
		if err != nil {
			return stop, err
		}
		// In the order of an installation: virt-api makes the certificates that its store waits for.
		if api, err = h.StartVirtAPI("virt-api", virtAPIPort, "--etcd-servers="+harness.StoreURL); err != nil {
			return stop, err
		}
		running = append(running, api)
		store, err := h.StartStore(ctx, storeFile)
		if store != nil && store.Process != nil {
			running = slices.Insert(running, 0, interface{ Stop() }(store)) // it ends last
		}
		if err != nil {
			return stop, err
		}
	}
	if err := errors.Join(api.WaitReady(time.Minute), h.WaitAvailable(ctx, api, time.Minute)); err != nil {
		return stop, err
	}
	return stop, r.prepare(ctx)
}

// prepare installs the peer, namespaces, and what the ordinary user may do.
func (r *apiRound) prepare(ctx context.Context) error {
	definition, err := crd.New(openapi.GetOpenAPIDefinitions, "io.kubevirt.v1.VirtualMachine",
		crd.Names{Group: crdSide.group, Version: "v1", Kind: "VirtualMachine", Plural: "virtualmachines", Singular: "virtualmachine"})
	if err != nil {
		return err
	}
	objects, err := dynamic.NewForConfig(r.host.Admin)
	if err != nil {
		return err
	}
	crds := objects.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	if _, err := crds.Create(ctx, definition, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the peer's definition: %w", err)
	}
	kube, err := kubernetes.NewForConfig(r.host.Admin)
	if err != nil {
		return err
	}
	names := make([]string, 0, r.size.singleCalls)
	for i := range r.size.singleCalls {
		names = append(names, machineName(i))
	}
	for _, ns := range []string{apiNamespace, protobufNamespace} {
		if _, err := kube.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{ourSide.group, crdSide.group}, Resources: []string{"virtualmachines"}, Verbs: []string{"get"}, ResourceNames: names}}}
	if _, err := kube.RbacV1().Roles(apiNamespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "reader"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "reader"}}}
	if _, err := kube.RbacV1().RoleBindings(apiNamespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return err
	}
	for range loadClients {
		c, err := newAPIClient(r.host.Admin)
		if err != nil {
			return err
		}
		r.clients = append(r.clients, c)
	}
	for _, side := range []apiSide{crdSide, ourSide} {
		if err := r.waitServed(ctx, side); err != nil {
			return err
		}
	}
	return nil
}

func (r *apiRound) waitServed(ctx context.Context, side apiSide) error {
	for {
		_, err := r.clients[0].do(ctx, request{method: http.MethodGet, path: side.path(apiNamespace, ""), accept: jsonType})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s to be served: %w", side.apiVersion(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Run implements harness.Runner.
func (r *apiRound) Run() int {
	ctx, cancel := context.WithTimeout(context.Background(), roundLimit)
	defer cancel()
	err := r.measure(ctx)
	if err == nil {
		r.results["cpu_s"] = sum(r.cpu, nil)
		for name, v := range r.cpu {
			r.results["cpu_s "+name] = v
		}
		var raw []byte
		if raw, err = json.Marshal(roundResult{Values: r.results, Servers: r.versions()}); err == nil {
			err = os.WriteFile(r.out, raw, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s: %v\n", r.side.name, err)
		return 1
	}
	return 0
}

// versions says what was measured.
func (r *apiRound) versions() string {
	kube := unknown
	if client, err := kubernetes.NewForConfig(r.host.Admin); err == nil {
		if v, err := client.Discovery().ServerVersion(); err == nil {
			kube = v.GitVersion
		}
	}
	etcd := func(server string) string {
		return moduleVersion(fmt.Sprintf("/proc/%d/exe", r.meter.pids[server][0]), etcdModule)
	}
	return fmt.Sprintf("Kubernetes %s on etcd %s; etcd %s in our store", kube, etcd("etcd"), etcd("virt-api"))
}

// phase runs a part that both sides have, with the servers' processor time counted.
func (r *apiRound) phase(name string, do func() error) error {
	before, err := r.meter.cpu()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	took := time.Since(began)
	after, err := r.meter.cpu()
	if err != nil {
		return err
	}
	for server := range after {
		r.cpu[server] += after[server] - before[server]
	}
	r.results["cpu_s of "+name] += sum(after, before)
	fmt.Fprintf(os.Stderr, "%s: %-14s %6.1f s, servers used %.1f s\n", r.side.name, name, took.Seconds(), sum(after, before))
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (r *apiRound) measure(ctx context.Context) error {
	var err error
	if r.meter, err = newMeter(r.side.servers()); err != nil {
		return err
	}
	template, err := r.side.machineTemplate()
	if err != nil {
		return err
	}
	if err := pause(ctx, r.size.idleFor); err != nil {
		return err
	}
	idle, err := r.meter.resident()
	if err != nil {
		return err
	}
	var creates []float64
	create := func(from, to int) func() error {
		return func() error {
			took, err := parallel(ctx, r.clients, to-from, func(i int) request {
				return request{method: http.MethodPost, path: r.side.path(apiNamespace, ""), accept: jsonType,
					contentType: jsonType, body: named(template, machineName(from+i))}
			})
			creates = append(creates, took...)
			return err
		}
	}
	if err := r.phase("create 1000", create(0, r.size.fewMachines)); err != nil {
		return err
	}
	if err := r.phase("list 1000", func() error { return r.list(ctx, "list_1000_ms", jsonType) }); err != nil {
		return err
	}
	if err := r.besides(func() error { return r.list(ctx, "list_1000_protobuf_ms", protobufType) }); err != nil {
		return err
	}
	if err := r.phase("create the rest", create(r.size.fewMachines, r.size.allMachines)); err != nil {
		return err
	}
	r.results["create_p50_ms"] = report.Median(creates)
	if err := pause(ctx, r.size.settleFor); err != nil {
		return err
	}
	loaded, err := r.meter.resident()
	if err != nil {
		return err
	}
	r.results["memory_10000_mib"] = sum(loaded, idle)
	for name := range loaded {
		r.results["memory_10000_mib "+name] = loaded[name] - idle[name]
		r.results["memory_idle_mib "+name] = idle[name]
	}
	if err := r.phase("list 10000", func() error { return r.list(ctx, "list_10000_ms", jsonType) }); err != nil {
		return err
	}
	if err := r.besides(func() error { return r.list(ctx, "list_10000_protobuf_ms", protobufType) }); err != nil {
		return err
	}
	if err := r.watches(ctx, "watch50_ms", jsonType, r.phase); err != nil {
		return err
	}
	if err := r.patches(ctx, template); err != nil {
		return err
	}
	if err := r.gets(ctx); err != nil {
		return err
	}
	return r.besides(func() error { return r.protobuf(ctx, template) })
}

// besides runs what only our side has; it counts for nothing else.
func (r *apiRound) besides(do func() error) error {
	if r.side != ourSide {
		return nil
	}
	return do()
}

// list reads all machines, as one client.
func (r *apiRound) list(ctx context.Context, metric, accept string) error {
	var took []float64
	for range r.size.listRepeats {
		d, err := r.clients[0].do(ctx, request{method: http.MethodGet, path: r.side.path(apiNamespace, ""), accept: accept})
		if err != nil {
			return err
		}
		took = append(took, milliseconds(d))
	}
	r.results[metric] = report.Median(took)
	return nil
}

// patches changes machines in two ways: one field by a merge patch, and the whole manifest by server-side apply.
func (r *apiRound) patches(ctx context.Context, template string) error {
	for _, p := range []struct {
		phase, metric, contentType, query string
		body                              func(i int) []byte
	}{
		{"merge patch", "patch_merge_p50_ms", mergeType, "", func(i int) []byte {
			return fmt.Appendf(nil, `{"spec":{"template":{"spec":{"terminationGracePeriodSeconds":%d}}}}`, 200+i)
		}},
		{"apply", "patch_apply_p50_ms", applyType, "?fieldManager=bench-apply&force=true", func(i int) []byte {
			return named(template, machineName(i))
		}},
	} {
		err := r.phase(p.phase, func() error {
			took, err := parallel(ctx, r.clients, r.size.singleCalls, func(i int) request {
				return request{method: http.MethodPatch, path: r.side.path(apiNamespace, machineName(i)) + p.query, accept: jsonType,
					contentType: p.contentType, body: p.body(i)}
			})
			r.results[p.metric] = report.Median(took)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// gets reads machines as a user who may read just these, one by one and by all clients at once.
func (r *apiRound) gets(ctx context.Context) error {
	user, err := r.host.User("reader")
	if err != nil {
		return err
	}
	var clients []*apiClient
	for range loadClients {
		c, err := newAPIClient(user)
		if err != nil {
			return err
		}
		clients = append(clients, c)
	}
	call := func(i int) request {
		return request{method: http.MethodGet, path: r.side.path(apiNamespace, machineName(i)), accept: jsonType}
	}
	body, err := clients[0].body(ctx, call(r.size.singleCalls-1))
	if err != nil {
		return err
	}
	r.results["object_bytes"] = float64(len(body))
	return r.phase("get", func() error {
		took, err := parallel(ctx, clients[:1], r.size.singleCalls, call)
		if err != nil {
			return err
		}
		r.results["get_p50_ms"] = report.Median(took)
		took, err = parallel(ctx, clients, r.size.singleCalls, call)
		r.results["get_8_clients_p50_ms"] = report.Median(took)
		return err
	})
}

// protobuf measures what clients of our own gain who speak it.
func (r *apiRound) protobuf(ctx context.Context, template string) error {
	encoded := make([][]byte, r.size.fewMachines)
	for i := range encoded {
		var err error
		if encoded[i], err = asProtobuf(named(template, machineName(i))); err != nil {
			return err
		}
	}
	took, err := parallel(ctx, r.clients, r.size.fewMachines, func(i int) request {
		return request{method: http.MethodPost, path: r.side.path(protobufNamespace, ""), accept: protobufType, contentType: protobufType, body: encoded[i]}
	})
	if err != nil {
		return err
	}
	r.results["create_protobuf_p50_ms"] = report.Median(took)
	uncounted := func(_ string, do func() error) error { return do() }
	return r.watches(ctx, "watch50_protobuf_ms", protobufType+";stream=watch", uncounted)
}
