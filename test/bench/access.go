package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/test/bench/pods"
	"github.com/virtplane/virtplane/test/bench/report"
	"github.com/virtplane/virtplane/test/guest/serial"
	"github.com/virtplane/virtplane/test/wire"
)

// accessLimit bounds each exchange.
const accessLimit = 3 * time.Minute

// access measures the ways to a running guest beside the same traffic by kubectl port-forward, and what open consoles hold of
// kube-apiserver.
func access(ctx context.Context, t *target) (report.Report, error) {
	var r report.Report
	nodes, err := t.nodes(ctx)
	if err != nil {
		return r, err
	}
	warm, err := t.warmUp(ctx, nodes)
	if err != nil {
		return r, err
	}
	ns, done, err := t.namespace(ctx)
	if err != nil {
		return r, err
	}
	defer done()
	ports, err := t.comparePorts(ctx, ns, nodes[0])
	if err != nil {
		return r, fmt.Errorf("port-forward: %w", err)
	}
	screens, err := t.compareScreens(ctx, ns, nodes[0])
	if err != nil {
		return r, fmt.Errorf("vnc: %w", err)
	}
	seats, err := t.countSeats(ctx, ns, nodes)
	if err != nil {
		return r, fmt.Errorf("seats: %w", err)
	}
	if err := t.checkPulls(ctx, ns); err != nil {
		return r, err
	}
	r.Head = append(t.clusterVersions(ctx, warm.qemu),
		fmt.Sprintf("%d pairs, medians: a file of %d MiB from a guest's web server, %d whole pictures of its screen; both sides through a port of this machine", t.size.accessRounds, t.size.fileMiB, t.size.frameRounds),
		fmt.Sprintf("seats of all priority levels but exempt with %d consoles of a user who is no administrator, less those before", t.size.consoles))
	r.Metrics = []report.Metric{ports, screens, seats}
	return r, nil
}

// rate is the metric of two sides measured in turn.
func rate(name, peer string, ours, theirs []float64) report.Metric {
	return report.Metric{Metric: name, Value: report.Median(ours), Unit: "MiB/s", Peer: peer, PeerValue: report.Float(report.Median(theirs)),
		Goal: report.Float(1), GoalOn: "ratio", HigherIsBetter: true}
}

// inTurn measures both sides one after the other, again and again.
func (t *target) inTurn(what string, ours, theirs func() (float64, error)) (a, b []float64, err error) {
	for i := range t.size.accessRounds {
		x, err := ours()
		if err != nil {
			return nil, nil, fmt.Errorf("ours: %w", err)
		}
		y, err := theirs()
		if err != nil {
			return nil, nil, fmt.Errorf("kubectl's: %w", err)
		}
		fmt.Printf("%s, pair %d: ours %.1f MiB/s, kubectl port-forward %.1f MiB/s\n", what, i+1, x, y)
		a, b = append(a, x), append(b, y)
	}
	return a, b, nil
}

// comparePorts fetches a file from a guest. kubectl reaches the same guest by way of its pod: connections to the pod's
// loopback are the guest's.
func (t *target) comparePorts(ctx context.Context, ns, node string) (report.Metric, error) {
	var m report.Metric
	vmi, err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Create(ctx, tiny("web", node), metav1.CreateOptions{})
	if err != nil {
		return m, err
	}
	if _, err := t.waitRunning(ctx, ns, "web", startLimit); err != nil {
		return m, err
	}
	pod, err := t.podOf(ctx, ns, string(vmi.UID))
	if err != nil {
		return m, err
	}
	conn, err := t.wire.Stream(ctx, wire.Subresource("v1", ns, "virtualmachineinstances", "web", "console"))
	if err != nil {
		return m, err
	}
	console := serial.New(conn)
	err = waitGuest(ctx, console)
	if err == nil {
		_, err = console.Run(ctx, fmt.Sprintf("dd if=/dev/urandom of=/www/file bs=1M count=%d 2>/dev/null", t.size.fileMiB))
	}
	conn.Close()
	if err != nil {
		return m, fmt.Errorf("making the file: %w", err)
	}
	mine, stopMine, err := t.relay(ctx, wire.Subresource("v1", ns, "virtualmachineinstances", "web", "portforward/80"))
	if err != nil {
		return m, err
	}
	defer stopMine()
	theirs, stopTheirs, err := t.kubectlForward(ctx, ns, pod.Name, 80)
	if err != nil {
		return m, err
	}
	defer stopTheirs()
	from := func(address string) func() (float64, error) {
		return func() (float64, error) { return fetch(ctx, address, t.size.fileMiB) }
	}
	a, b, err := t.inTurn("port-forward", from(mine), from(theirs))
	if err != nil {
		return m, err
	}
	if err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Delete(ctx, "web", metav1.DeleteOptions{}); err != nil {
		return m, err
	}
	return rate("portforward_mib_s", "kubectl port-forward to the guest's pod", a, b), t.waitEmpty(ctx, ns)
}

// fetch gets a file of so many MiB and gives the rate in MiB/s.
func fetch(ctx context.Context, address string, fileMiB int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, accessLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	began := time.Now()
	if _, err := io.WriteString(conn, "GET /file HTTP/1.0\r\n\r\n"); err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, conn)
	if err == nil && n < int64(fileMiB)<<20 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, fmt.Errorf("after %d bytes: %w", n, err)
	}
	return float64(n) / (1 << 20) / time.Since(began).Seconds(), nil
}

// relay listens on a port of this machine and opens a stream for each connection, as virtctl port-forward does.
func (t *target) relay(ctx context.Context, path string) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	go func() {
		for {
			local, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer local.Close()
				remote, err := t.wire.Stream(ctx, path)
				if err != nil {
					fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
					return
				}
				defer remote.Close()
				go func() {
					_, _ = io.Copy(remote, local)
					remote.Close()
				}()
				_, _ = io.Copy(local, remote)
			}()
		}
	}()
	return l.Addr().String(), func() { l.Close() }, nil
}

// forwarding is what kubectl says once it listens.
var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) `)

// kubectlForward runs kubectl port-forward to a port of a pod and gives the address at which it listens.
func (t *target) kubectlForward(ctx context.Context, ns, pod string, port int) (address string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, filepath.Join(t.dir.Bin(), "kubectl"), "--kubeconfig", t.dir.Kubeconfig(), "-n", ns, "port-forward", "pod/"+pod, fmt.Sprintf(":%d", port))
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", nil, fmt.Errorf("running kubectl port-forward: %w", err)
	}
	stop = func() { cancel(); _ = cmd.Wait() }
	timer := time.AfterFunc(30*time.Second, cancel)
	defer timer.Stop()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := forwarding.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return m[1], stop, nil
		}
	}
	stop()
	return "", nil, fmt.Errorf("kubectl port-forward did not begin: %s", problems.String())
}

// compareScreens reads whole pictures from a guest's screen, and from that of the same QEMU in a plain pod.
func (t *target) compareScreens(ctx context.Context, ns, node string) (report.Metric, error) {
	var m report.Metric
	screen := tiny("screen", node)
	screen.Spec.Domain.Devices.AutoattachGraphicsDevice = ptr.To(true)
	vmi, err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Create(ctx, screen, metav1.CreateOptions{})
	if err != nil {
		return m, err
	}
	if _, err := t.waitRunning(ctx, ns, "screen", startLimit); err != nil {
		return m, err
	}
	var s sample
	if s.pod, err = t.podOf(ctx, ns, string(vmi.UID)); err != nil {
		return m, err
	}
	processes, err := pods.Processes(string(s.pod.UID))
	if err != nil {
		return m, err
	}
	at := slices.IndexFunc(processes, pods.IsQEMU)
	if at < 0 {
		return m, errors.New("the pod has no QEMU")
	}
	if err := s.read(ctx, processes[at]); err != nil {
		return m, err
	}
	peer, err := screenPod(s, "screen-peer")
	if err != nil {
		return m, err
	}
	if _, err := t.kube.CoreV1().Pods(ns).Create(ctx, peer, metav1.CreateOptions{}); err != nil {
		return m, err
	}
	mine, stopMine, err := t.relay(ctx, wire.Subresource("v1", ns, "virtualmachineinstances", "screen", "vnc"))
	if err != nil {
		return m, err
	}
	defer stopMine()
	if err := t.waitPodReady(ctx, ns, peer.Name); err != nil {
		return m, err
	}
	theirs, stopTheirs, err := t.kubectlForward(ctx, ns, peer.Name, 5900)
	if err != nil {
		return m, err
	}
	defer stopTheirs()
	if err := pause(ctx, t.size.bootFor); err != nil {
		return m, err
	}
	of := func(address string) func() (float64, error) {
		return func() (float64, error) { return pictures(ctx, address, t.size.frameRounds) }
	}
	a, b, err := t.inTurn("vnc", of(mine), of(theirs))
	if err != nil {
		return m, err
	}
	err = errors.Join(t.virt.KubevirtV1().VirtualMachineInstances(ns).Delete(ctx, "screen", metav1.DeleteOptions{}),
		t.kube.CoreV1().Pods(ns).Delete(ctx, peer.Name, metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}))
	if err != nil {
		return m, err
	}
	return rate("vnc_mib_s", "kubectl port-forward to a plain pod with the same QEMU", a, b), t.waitEmpty(ctx, ns)
}

// screenPod is a plain pod whose QEMU shows its screen on the pod's loopback, and waits for nobody.
func screenPod(s sample, name string) (*corev1.Pod, error) {
	pod, err := s.plainPod(name)
	if err != nil {
		return nil, err
	}
	script := &pod.Spec.Containers[0].Command[2]
	vnc := regexp.MustCompile(`'unix:[^']*virt-vnc'`)
	if !vnc.MatchString(*script) {
		return nil, fmt.Errorf("no VNC server in %s", *script)
	}
	*script = strings.Replace(vnc.ReplaceAllString(*script, "'127.0.0.1:0'"), "wait=on", "wait=off", 1)
	return pod, nil
}

func (t *target) waitPodReady(ctx context.Context, ns, name string) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		pod, err := t.kube.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("waiting for pod %s to be ready: %w", name, err)
		}
		if slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		}) {
			return nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for pod %s to be ready: %w", name, err)
		}
	}
}

// pictures asks a VNC server for so many whole pictures without compression and gives the rate in MiB/s.
func pictures(ctx context.Context, address string, rounds int) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, accessLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	v := &viewer{Reader: bufio.NewReaderSize(conn, 256<<10), Writer: conn}
	if err := v.open(); err != nil {
		return 0, fmt.Errorf("opening the screen: %w", err)
	}
	began, total := time.Now(), int64(0)
	for range rounds {
		n, err := v.picture()
		if err != nil {
			return 0, fmt.Errorf("after %d bytes: %w", total, err)
		}
		total += n
	}
	return float64(total) / (1 << 20) / time.Since(began).Seconds(), nil
}

// viewer speaks RFB 3.8 as far as whole pictures need it.
type viewer struct {
	io.Reader
	io.Writer
	width, height uint16
	pixel         int64 // bytes of one
}

func (v *viewer) open() error {
	version := make([]byte, 12)
	if _, err := io.ReadFull(v, version); err != nil || string(version) != "RFB 003.008\n" {
		return fmt.Errorf("the server begins with %q: %w", version, err)
	}
	if _, err := v.Write(version); err != nil {
		return err
	}
	var count uint8
	if err := binary.Read(v, binary.BigEndian, &count); err != nil {
		return err
	}
	kinds := make([]byte, count)
	if _, err := io.ReadFull(v, kinds); err != nil || !bytes.Contains(kinds, []byte{1}) {
		return fmt.Errorf("security types %v: %w", kinds, err)
	}
	if _, err := v.Write([]byte{1}); err != nil { // none
		return err
	}
	var result uint32
	if err := binary.Read(v, binary.BigEndian, &result); err != nil || result != 0 {
		return fmt.Errorf("security result %d: %w", result, err)
	}
	if _, err := v.Write([]byte{1}); err != nil { // shared
		return err
	}
	var init struct {
		Width, Height uint16
		Format        [16]byte
		Name          uint32
	}
	if err := binary.Read(v, binary.BigEndian, &init); err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, v, int64(init.Name)); err != nil {
		return err
	}
	v.width, v.height, v.pixel = init.Width, init.Height, int64(init.Format[0])/8
	_, err := v.Write([]byte{2, 0, 0, 1, 0, 0, 0, 0}) // SetEncodings: raw
	return err
}

// picture asks for the whole screen and reads it.
func (v *viewer) picture() (int64, error) {
	ask := []byte{3, 0, 0, 0, 0, 0}
	ask = binary.BigEndian.AppendUint16(ask, v.width)
	ask = binary.BigEndian.AppendUint16(ask, v.height)
	if _, err := v.Write(ask); err != nil {
		return 0, err
	}
	want, total := int64(v.width)*int64(v.height), int64(0)
	for pixels := int64(0); pixels < want; {
		var head struct {
			Kind, _ uint8
			Count   uint16
		}
		if err := binary.Read(v, binary.BigEndian, &head); err != nil {
			return total, err
		}
		if head.Kind != 0 {
			return total, fmt.Errorf("a message of kind %d in place of a picture", head.Kind)
		}
		for range head.Count {
			var part struct {
				X, Y, Width, Height uint16
				Encoding            int32
			}
			if err := binary.Read(v, binary.BigEndian, &part); err != nil {
				return total, err
			}
			if part.Encoding != 0 {
				return total, fmt.Errorf("encoding %d, want raw", part.Encoding)
			}
			n := int64(part.Width) * int64(part.Height)
			if _, err := io.CopyN(io.Discard, v, n*v.pixel); err != nil {
				return total, err
			}
			pixels, total = pixels+n, total+n*v.pixel
		}
	}
	return total, nil
}

// countSeats holds consoles open, as a user who is no administrator, and counts what they hold of kube-apiserver's fairness.
func (t *target) countSeats(ctx context.Context, ns string, nodes []string) (report.Metric, error) {
	var m report.Metric
	for i := range t.size.consoles {
		vmi := tiny(fmt.Sprintf("console-%d", i), nodes[i%len(nodes)])
		vmi.Spec.StartStrategy = ptr.To(virtv1.StartStrategyPaused) // it need not boot
		if _, err := t.virt.KubevirtV1().VirtualMachineInstances(ns).Create(ctx, vmi, metav1.CreateOptions{}); err != nil {
			return m, err
		}
	}
	user, err := t.editor(ctx, ns)
	if err != nil {
		return m, err
	}
	for i := range t.size.consoles {
		if _, err := t.waitRunning(ctx, ns, fmt.Sprintf("console-%d", i), accessLimit); err != nil {
			return m, err
		}
	}
	before, err := t.seats(ctx)
	if err != nil {
		return m, err
	}
	for i := range t.size.consoles {
		conn, err := user.Stream(ctx, wire.Subresource("v1", ns, "virtualmachineinstances", fmt.Sprintf("console-%d", i), "console"))
		if err != nil {
			return m, err
		}
		defer conn.Close()
	}
	held, err := t.seats(ctx)
	fmt.Printf("%d consoles: %.0f seats, %.0f before\n", t.size.consoles, held, before)
	return report.Metric{Metric: "console_seats", Value: max(0, held-before), Unit: "seats", Goal: report.Float(0), GoalOn: "value"}, err
}

// editor is a client with the rights of Kubernetes' role edit. Administrators are exempt in any case.
func (t *target) editor(ctx context.Context, ns string) (*wire.Client, error) {
	meta := metav1.ObjectMeta{Name: "editor"}
	if _, err := t.kube.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{}); err != nil {
		return nil, err
	}
	_, err := t.kube.RbacV1().RoleBindings(ns).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta,
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: meta.Name, Namespace: ns}}}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	token, err := t.kube.CoreV1().ServiceAccounts(ns).CreateToken(ctx, meta.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	config := rest.AnonymousClientConfig(t.config)
	config.BearerToken = token.Status.Token
	return wire.New(config)
}

// seats is the least of some samples of the seats in use, for requests come and go.
func (t *target) seats(ctx context.Context) (float64, error) {
	var samples []float64
	for range t.size.seatSamples {
		raw, err := t.kube.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
		if err != nil {
			return 0, fmt.Errorf("reading kube-apiserver's metrics: %w", err)
		}
		n, err := countedSeats(raw)
		if err != nil {
			return 0, err
		}
		samples = append(samples, n)
		if err := pause(ctx, 250*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return slices.Min(samples), nil
}

var seatLine = regexp.MustCompile(`(?m)^apiserver_flowcontrol_current_executing_seats\{([^}]*)\} (\S+)$`)

// countedSeats sums the seats in use at all priority levels that have bounds.
func countedSeats(metrics []byte) (float64, error) {
	lines := seatLine.FindAllSubmatch(metrics, -1)
	if len(lines) == 0 {
		return 0, errors.New("kube-apiserver tells of no seats in use")
	}
	sum := 0.0
	for _, line := range lines {
		if bytes.Contains(line[1], []byte(`priority_level="exempt"`)) {
			continue
		}
		n, err := strconv.ParseFloat(string(line[2]), 64)
		if err != nil {
			return 0, fmt.Errorf("reading seats: %w", err)
		}
		sum += n
	}
	return sum, nil
}
