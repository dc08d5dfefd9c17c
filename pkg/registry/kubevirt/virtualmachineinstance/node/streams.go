package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// Texts that clients and scripts match.
var (
	//lint:ignore ST1005 the text is part of the API
	errNoRedirection = errors.New("Not configured with USB Redirection")
)

// maxScreenshot is far more than a PNG of the largest screen.
const maxScreenshot = 64 << 20

// Console finds the serial console of a guest. history says whether the client wants to see what others have seen before.
func (a *Actions) Console(ctx context.Context, name, history string) (*url.URL, http.RoundTripper, error) {
	all, err := boolean("history", history, false)
	if err != nil {
		return nil, nil, err
	}
	var query url.Values
	if all == "true" {
		query = url.Values{"history": {all}}
	}
	return a.stream(ctx, name, mayConsole, query, "console")
}

// VNC finds the screen of a guest. Whoever looks at it is sent away, unless the session is to be preserved.
func (a *Actions) VNC(ctx context.Context, name, preserveSession string) (*url.URL, http.RoundTripper, error) {
	preserve, err := boolean("preserveSession", preserveSession, false)
	if err != nil {
		return nil, nil, err
	}
	return a.stream(ctx, name, mayVNC, url.Values{"preserveSession": {preserve}}, "vnc")
}

// USBRedir finds a place for a USB device of the client's.
func (a *Actions) USBRedir(ctx context.Context, name string) (*url.URL, http.RoundTripper, error) {
	return a.stream(ctx, name, mayUSBRedir, nil, "usbredir")
}

// VSOCK finds a port of the socket between a guest and its node; tls is true unless it says otherwise.
func (a *Actions) VSOCK(ctx context.Context, name, port, tls string) (*url.URL, http.RoundTripper, error) {
	if _, err := strconv.ParseUint(port, 10, 32); err != nil {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("port %q must be a number of 32 bits", port))
	}
	secure, err := boolean("tls", tls, true)
	if err != nil {
		return nil, nil, err
	}
	return a.stream(ctx, name, mayVSOCK, url.Values{"port": {port}, "tls": {secure}}, "vsock")
}

// PortForward finds a port of a guest on its network; protocol is "tcp" or "udp", empty means tcp.
func (a *Actions) PortForward(ctx context.Context, name, port, protocol string) (*url.URL, http.RoundTripper, error) {
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("port %q must be a number from 1 to 65535", port))
	}
	if protocol == "" {
		protocol = "tcp"
	}
	if protocol != "tcp" && protocol != "udp" {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("protocol %q must be tcp or udp", protocol))
	}
	return a.stream(ctx, name, mayPortForward, nil, "portforward", port, protocol)
}

// Screenshot gives what is on the screen of a guest as a PNG file, which the caller closes. With moveCursor the pointer is
// moved first, which wakes a screen that sleeps.
func (a *Actions) Screenshot(ctx context.Context, name, moveCursor string) (io.ReadCloser, error) {
	move, err := boolean("moveCursor", moveCursor, false)
	if err != nil {
		return nil, err
	}
	vmi, err := a.get(ctx, name, mayVNC)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.deadline)
	resp, err := a.request(ctx, vmi, http.MethodGet, url.Values{"moveCursor": {move}}, nil, "vnc", "screenshot")
	if err == nil {
		if resp.StatusCode == http.StatusOK {
			return &body{io.LimitReader(resp.Body, maxScreenshot), resp.Body, cancel}, nil
		}
		err = answer(resp, vmi.Status.NodeName)
		_ = resp.Body.Close()
		if err == nil {
			err = apierrors.NewInternalError(fmt.Errorf("node %s answered %s", vmi.Status.NodeName, resp.Status))
		}
	}
	cancel()
	return nil, err
}

// body is an answer that is read before a deadline.
type body struct {
	io.Reader
	io.Closer
	cancel context.CancelFunc
}

func (b *body) Close() error {
	defer b.cancel()
	return b.Closer.Close()
}

// boolean reads a parameter and writes it as the agent reads it.
func boolean(name, text string, otherwise bool) (string, error) {
	if text == "" {
		return strconv.FormatBool(otherwise), nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return "", apierrors.NewBadRequest(fmt.Sprintf("%s %q must be true or false", name, text))
	}
	return strconv.FormatBool(value), nil
}

// mayConsole answers a request that comes before the guest runs with 400: clients take that, and only that, for a reason to
// try again.
func mayConsole(vmi *virtv1.VirtualMachineInstance) error {
	if attach := vmi.Spec.Domain.Devices.AutoattachSerialConsole; attach != nil && !*attach {
		return apierrors.NewBadRequest("No serial consoles are present.")
	}
	return running(vmi)
}

func mayVNC(vmi *virtv1.VirtualMachineInstance) error {
	if attach := vmi.Spec.Domain.Devices.AutoattachGraphicsDevice; attach != nil && !*attach {
		return apierrors.NewBadRequest("No graphics devices are present.")
	}
	return runningOrBad(vmi)
}

func mayUSBRedir(vmi *virtv1.VirtualMachineInstance) error {
	if vmi.Spec.Domain.Devices.ClientPassthrough == nil {
		return resource(vmi, errNoRedirection)
	}
	return runningOrBad(vmi)
}

// runningOrBad is how screens and redirections answer, which no client tries again: in one way, whatever a guest does that
// does not run.
func runningOrBad(vmi *virtv1.VirtualMachineInstance) error {
	if vmi.Status.Phase != virtv1.Running {
		return apierrors.NewBadRequest(errVMINotRunning.Error())
	}
	return nil
}

func mayVSOCK(vmi *virtv1.VirtualMachineInstance) error {
	if attach := vmi.Spec.Domain.Devices.AutoattachVSOCK; attach == nil || !*attach {
		return apierrors.NewBadRequest("VSOCK is not attached.")
	}
	return running(vmi)
}

func mayPortForward(vmi *virtv1.VirtualMachineInstance) error {
	if hasCondition(vmi, virtv1.VirtualMachineInstancePaused) {
		return resource(vmi, errIsPaused)
	}
	return running(vmi)
}
