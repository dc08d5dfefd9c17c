package virtapi

import (
	"os"
	"os/exec"
	"testing"
)

func TestKubectl(t *testing.T) {
	run := func(stdin string, args ...string) string {
		cmd := exec.Command(env.Kubectl, append([]string{"--kubeconfig=" + env.Dir + "/admin.kubeconfig"}, args...)...)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		t.Logf("%v\n%s", args, out)
		if err != nil {
			t.Error(err)
		}
		return string(out)
	}
	os.WriteFile("/tmp/vm.yaml", []byte(`
apiVersion: kubevirt.io/v1
kind: VirtualMachine
metadata: {name: a, namespace: default}
spec:
  runStrategy: Halted
  template:
    spec:
      domain:
        devices: {}
`), 0o644)
	run("", "apply", "-f", "/tmp/vm.yaml")
	run("", "get", "vm", "-o", "wide")
	run("", "get", "vm", "a", "-o", "yaml")
	run("", "explain", "vm.spec.template.spec.domain.cpu")
	run("", "api-resources", "--api-group=kubevirt.io")
}
