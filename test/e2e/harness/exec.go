package harness

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

// execLimit bounds a command in a container.
const execLimit = 2 * time.Minute

// Exec runs a command in a container and returns what it prints.
func (c *Cluster) Exec(t testing.TB, namespace, pod, container string, command ...string) string {
	t.Helper()
	out, err := c.TryExec(t, namespace, pod, container, command...)
	if err != nil {
		t.Fatalf("%s in container %s of pod %s: %v\n%s", strings.Join(command, " "), container, pod, err, out)
	}
	return out
}

// TryExec is Exec for commands that may fail. Tests run so many of them that a process of kubectl for each would be felt.
func (c *Cluster) TryExec(t testing.TB, namespace, pod, container string, command ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), execLimit)
	defer cancel()
	options := &corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}
	target := c.Kube.CoreV1().RESTClient().Get().Resource("pods").Namespace(namespace).Name(pod).SubResource("exec").VersionedParams(options, scheme.ParameterCodec).URL()
	executor, err := remotecommand.NewWebSocketExecutor(c.Config, "GET", target.String())
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer // the two are copied at the same time
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	return stdout.String() + stderr.String(), err
}
