package create

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/apis/kubevirt/validation"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
	"github.com/virtplane/virtplane/pkg/virtctl/virtctltest"
)

var update = flag.Bool("update", false, "write the golden files")

func run(t *testing.T, args ...string) (out, says string, err error) {
	t.Helper()
	return virtctltest.Run(t, &virtctltest.Server{}, nil, virtctltest.One(New), append([]string{"create"}, args...)...)
}

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDGrSBk1vVvJ someone@example"

// TestManifests compares what is printed with golden files, and asks the server's own validation about machines.
func TestManifests(t *testing.T) {
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("it's: a #secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name string
		args []string
		says string
	}{
		{name: "vm-minimal", args: []string{"vm", "--name", "web"}},
		{name: "vm-containerdisk", args: []string{"vm", "--name", "web", "--memory", "1Gi", "--run-strategy", "manual", "--termination-grace-period", "30", "--volume-containerdisk", "src:registry:5000/os:13"}},
		{name: "vm-user", args: []string{"vm", "--name", "web", "--user", "debian", "--ssh-key", key, "--password-file", password, "--ga-manage-ssh"},
			says: "Warning: the password stands in the manifest in clear text; with --access-cred type:password,src:SECRET it would not\n"},
		{name: "vm-configdrive", args: []string{"vm", "--name", "web", "--cloud-init", "configdrive", "--cloud-init-user-data", "I2Nsb3VkLWNvbmZpZw==", "--cloud-init-network-data", "dmVyc2lvbjogMgo="}},
		{name: "vm-claims", args: []string{"vm", "--name", "web", "--volume-pvc", "src:data,bootorder:2", "--volume-pvc", "src:root,name:system,bootorder:1"}},
		{name: "vm-types", args: []string{"vm", "--name", "web", "--instancetype", "u1.small", "--preference", "virtualmachinepreference/debian", "--volume-pvc", "src:root"}},
		{name: "vm-inferred", args: []string{"vm", "--name", "web", "--infer-instancetype", "--infer-preference-from", "data", "--volume-import", "type:ds,src:images/debian,name:root,size:20Gi", "--volume-pvc", "src:data"}},
		{name: "vm-imports", args: []string{"vm", "--name", "web", "--infer-preference=false", "--infer-instancetype=false",
			"--volume-import", "type:http,url:https://example.com/a.qcow2,size:20Gi,name:a,secretref:s,certconfigmap:c,extraheaders:X-A: 1;X-B: 2,bootorder:1",
			"--volume-import", "type:registry,url:docker://registry.example.com/os,pullmethod:node,size:5Gi,name:b",
			"--volume-import", "type:s3,url:https://s3/x,secretref:s,size:1Gi,name:c",
			"--volume-import", "type:gcs,url:gs://x,size:1Gi,name:d",
			"--volume-import", "type:imageio,url:https://engine,diskid:1,size:1Gi,name:e",
			"--volume-import", "type:vddk,url:https://vc,uuid:u,thumbprint:AA:BB,secretref:s,backingfile:f,size:1Gi,name:f",
			"--volume-import", "type:pvc,src:images/root,name:g", "--volume-import", "type:snapshot,src:images/snap,name:h",
			"--volume-blank", "size:10Gi,name:i", "--volume-clone-pvc", "src:images/old,name:j", "--volume-datasource", "src:debian,name:k"}},
		{name: "vm-sysprep", args: []string{"vm", "--name", "win", "--volume-sysprep", "src:answers,type:secret"}},
		{name: "vm-credentials", args: []string{"vm", "--name", "web", "--user", "debian", "--access-cred", "src:keys", "--access-cred", "type:password,src:passwords", "--access-cred", "type:ssh,src:more,method:ga,user:admin"}},
		{name: "vm-credentials-configdrive", args: []string{"vm", "--name", "web", "--access-cred", "src:keys,method:configdrive"}},
		{name: "vm-no-cloudinit", args: []string{"vm", "--name", "web", "--cloud-init", "none", "--user", "debian"}, says: "Warning: --cloud-init none leaves out what the other flags say about users, keys and cloud-init\n"},
		{name: "vm-namespace", args: []string{"vm", "--name", "web", "-n", "prod", "-o", "json"}},
		{name: "instancetype", args: []string{"instancetype", "--name", "small", "--cpu", "2", "--memory", "2Gi", "--iothreadspolicy", "auto", "--gpu", "name:g,devicename:nvidia.com/T4", "--hostdevice", "name:h,devicename:example.com/h"}},
		{name: "instancetype-namespaced", args: []string{"instancetype", "--name", "small", "--cpu", "2", "--memory", "2Gi", "-n", "prod"}},
		{name: "preference", args: []string{"preference", "--name", "debian", "--cpu-topology", "sockets", "--machine-type", "q35", "--volume-storage-class", "fast"}},
		{name: "clone", args: []string{"clone", "--name", "c", "--source-type", "snapshot", "--source-name", "before", "--target-name", "web2", "--label-filter", "*", "--label-filter", "!tier", "--annotation-filter", "a/*", "--template-label-filter", "x", "--new-mac-address", "default:02-00-00-00-00-01", "--new-smbios-serial", "s"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			out, says, err := run(t, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			if says != tc.says {
				t.Errorf("said %q, want %q", says, tc.says)
			}
			golden := filepath.Join("testdata", tc.name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out); diff != "" {
				t.Errorf("%s (-want +got; -update writes it):\n%s", golden, diff)
			}
			if strings.HasPrefix(tc.name, "vm-") {
				validate(t, out)
			}
		})
	}
}

// validate asks the server's validation about a machine.
func validate(t *testing.T, manifest string) {
	t.Helper()
	vm := &virtv1.VirtualMachine{}
	if err := yaml.UnmarshalStrict([]byte(manifest), vm); err != nil {
		t.Fatal(err)
	}
	vm.Namespace = "ns"
	errs := slices.DeleteFunc(validation.ValidateVirtualMachine(vm, validation.Options{}), func(e *field.Error) bool {
		// The server has no instance types and preferences to find. Other servers that the command speaks to do.
		return e.Type == field.ErrorTypeNotFound && (e.Field == "spec.instancetype" || e.Field == "spec.preference")
	})
	if len(errs) > 0 {
		t.Errorf("the server would refuse it: %v", errs.ToAggregate())
	}
}

func TestInventedNames(t *testing.T) {
	for args, want := range map[string]string{
		"vm": "vm-", "clone --source-name a": "clone-", "preference": "clusterpreference-", "preference --namespaced": "preference-",
		"instancetype --cpu 1 --memory 1Gi": "clusterinstancetype-", "instancetype --cpu 1 --memory 1Gi --namespaced": "instancetype-",
	} {
		out, _, err := run(t, strings.Fields(args)...)
		if err != nil || !regexp.MustCompile(`(?m)^  name: `+want+`[a-z0-9]{5}$`).MatchString(out) {
			t.Errorf("create %s: %v\n%s", args, err, out)
		}
	}
}

func TestMistakes(t *testing.T) {
	for _, tc := range []struct {
		args string
		want string
	}{
		{"vm --name No", `--name "No": `},
		{"vm --memory 0", `--memory must be a size such as 512Mi, not "0"`},
		{"vm --run-strategy Sometimes", `--run-strategy must be one of Always, Manual, Halted, Once, RerunOnFailure, not "Sometimes"`},
		{"vm --termination-grace-period -1", `--termination-grace-period must be 0 or more seconds, not -1`},
		{"vm --instancetype pod/x", `--instancetype: the kind must be virtualmachineinstancetype or virtualmachineclusterinstancetype, not "pod"`},
		{"vm --preference a/b/c", `--preference: "a/b/c" is neither NAME nor PREFIX/NAME`},
		{"vm --infer-instancetype", `there is no volume to infer from`},
		{"vm --infer-preference-from x --volume-pvc src:a", `there is no volume "x" to infer from`},
		{"vm --infer-instancetype --volume-containerdisk src:a,name:a", `volume a cannot name an instance type or preference: only claims, and imports of type ds, pvc, registry and snapshot can`},
		{"vm --volume-containerdisk name:a", `--volume-containerdisk: src is missing`},
		{"vm --volume-containerdisk example.com", `--volume-containerdisk: "example.com" is not KEY:VALUE; keys are src, name, bootorder`},
		{"vm --volume-containerdisk src:a,color:red", `--volume-containerdisk: there is no key "color"; keys are src, name, bootorder`},
		{"vm --volume-containerdisk src:a,src:b", `--volume-containerdisk: src is given twice`},
		{"vm --volume-containerdisk src:", `--volume-containerdisk: src has no value`},
		{"vm --volume-pvc src:other/a", `--volume-pvc: src must be in the namespace of the machine: say src:a`},
		{"vm --volume-pvc src:a --volume-pvc src:a", `--volume-pvc: there is already a volume a; choose another with name:NAME`},
		{"vm --volume-pvc src:a,bootorder:0", `--volume-pvc: bootorder must be a number from 1 on, not "0"`},
		{"vm --volume-pvc src:a,bootorder:1x", `--volume-pvc: bootorder must be a number from 1 on, not "1x"`},
		{"vm --volume-pvc src:a,bootorder:1 --volume-pvc src:b,bootorder:1", `--volume-pvc: bootorder 1 already belongs to a`},
		{"vm --volume-pvc src:a.b", `--volume-pvc: name "a.b": `},
		{"vm --volume-import size:1Gi", `--volume-import: type is missing; it is one of blank, gcs, http, imageio, registry, s3, vddk, pvc, snapshot, ds`},
		{"vm --volume-import type:tape", `--volume-import: type must be one of blank, gcs, http, imageio, registry, s3, vddk, pvc, snapshot, ds, not "tape"`},
		{"vm --volume-import type:blank", `--volume-import: size is missing`},
		{"vm --volume-import type:blank,size:big", `--volume-import: size must be one such as 10Gi, not "big"`},
		{"vm --volume-import type:http,size:1Gi", `--volume-import: url is missing`},
		{"vm --volume-import type:registry,size:1Gi", `--volume-import: type registry needs either url or imagestream`},
		{"vm --volume-import type:registry,size:1Gi,url:docker://x,pullmethod:hand", `--volume-import: pullmethod must be pod or node, not "hand"`},
		{"vm --volume-import type:pvc,src:root", `--volume-import: src must name the namespace too: src:NAMESPACE/root`},
		{"vm --volume-sysprep src:a,type:file", `--volume-sysprep: type must be configmap or secret, not "file"`},
		{"vm --access-cred src:keys", `--access-cred: whose keys are they? Say user:USER, or --user USER`},
		{"vm --access-cred src:keys,type:pin", `--access-cred: type must be ssh or password, not "pin"`},
		{"vm --access-cred src:keys,method:mail", `--access-cred: method must be ga, nocloud or configdrive, not "mail"`},
		{"vm --access-cred src:keys,method:nocloud,user:a", `--access-cred: with method nocloud, cloud-init chooses the user: leave user out`},
		{"vm --access-cred src:keys,method:nocloud --cloud-init configdrive", `--access-cred: method nocloud does not fit --cloud-init configdrive`},
		{"vm --access-cred src:pw,type:password,user:a", `--access-cred: the keys of a Secret with passwords are the users: leave user out`},
		{"vm --access-cred src:pw,type:password,method:nocloud", `--access-cred: passwords have the method ga only, not "nocloud"`},
		{"vm --cloud-init tape", `--cloud-init must be nocloud, configdrive or none, not "tape"`},
		{"vm --cloud-init-user-data %%%", `--cloud-init-user-data is not base64: encode the file with base64 -w0 FILE`},
		{"vm --password-file /nonexistent", `--password-file: open /nonexistent: `},
		{"vm -o xml", `--output must be one of yaml, json, not "xml"`},
		{"instancetype --cpu 0 --memory 1Gi", `--cpu must be 1 or more`},
		{"instancetype --cpu 1 --memory lots", `--memory must be a size such as 2Gi, not "lots"`},
		{"instancetype --cpu 1 --memory 1Gi --iothreadspolicy x", `--iothreadspolicy must be auto or shared, not "x"`},
		{"instancetype --cpu 1 --memory 1Gi --gpu name:a", `--gpu: devicename is missing`},
		{"preference --cpu-topology square", `--cpu-topology must be one of sockets, cores, threads, spread, any, preferSockets, preferCores, preferThreads, preferSpread, preferAny, not "square"`},
		{"clone --source-name a --source-type pod", `--source-type must be vm or, of a source, vmsnapshot, not "pod"`},
		{"clone --source-name a --target-type snapshot", `--target-type must be vm, not "snapshot"`},
		{"clone --source-name a --new-mac-address 02", `--new-mac-address must be INTERFACE:ADDRESS, not "02"`},
	} {
		t.Run(tc.args, func(t *testing.T) {
			out, _, err := run(t, strings.Fields(tc.args)...)
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Fatalf("error %v, want %s", err, tc.want)
			}
			if !command.IsUsage(err) || out != "" {
				t.Errorf("usage error: %v, printed %q", command.IsUsage(err), out)
			}
		})
	}
}

// FuzzParams never panics and never gives a key that was not allowed.
func FuzzParams(f *testing.F) {
	for _, seed := range []string{"src:a", "src:a,name:b", "", ",", ":", "src:a:b,,", "SRC : x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseParams("x", text, "src", "name")
		if err != nil {
			return
		}
		for k, v := range p {
			if k != "src" && k != "name" || v == "" {
				t.Errorf("%q gives %q=%q", text, k, v)
			}
		}
	})
}
