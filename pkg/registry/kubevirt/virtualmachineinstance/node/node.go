// Package node reaches the guests of instances through the agents of their nodes: it pauses, freezes and reboots them, asks
// what they know of themselves, and finds where their streams are. It is the one implementation behind kubevirt.io and subresources.kubevirt.io. Checks are pure
// functions; every call has a deadline.
package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/registry/rest"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/registry/environment"
)

// Deadline is how long the agent of a node may take to act (decision 4).
const Deadline = 30 * time.Second

// maxAnswer is far more than an agent has to say.
const maxAnswer = 64 << 10

// maxObject bounds what an agent tells of a guest.
const maxObject = 4 << 20

// Texts that clients and scripts match.
var (
	errVMNotRunning  = errors.New("VM is not running")
	errVMINotRunning = errors.New("VMI is not running")
	errPaused        = errors.New("VMI is already paused")
	errNotPaused     = errors.New("VMI is not paused")
	errMigrating     = errors.New("VMI cannot be paused because it is currently being migrated")
	//lint:ignore ST1005 the text is part of the API
	errLiveness = errors.New("Pausing VMIs with LivenessProbe is currently not supported: the probe would end the paused guest")
	errFailed   = errors.New("VMI is in failed status")
)

// Actions reaches the guests of the instances that instances reads.
type Actions struct {
	instances rest.Getter
	nodes     environment.NodeConn
	deadline  time.Duration
}

// New makes the actions.
func New(instances rest.Getter, nodes environment.NodeConn) *Actions {
	return &Actions{instances: instances, nodes: nodes, deadline: Deadline}
}

// Pause stops the CPUs of a guest.
func (a *Actions) Pause(ctx context.Context, name string, options *virtv1.PauseOptions) error {
	return a.put(ctx, name, "pause", options.DryRun, mayPause)
}

// Unpause lets the CPUs of a guest run on.
func (a *Actions) Unpause(ctx context.Context, name string, options *virtv1.UnpauseOptions) error {
	return a.put(ctx, name, "unpause", options.DryRun, mayUnpause)
}

func resource(vmi *virtv1.VirtualMachineInstance, err error) error {
	return apierrors.NewConflict(virtv1.Resource("virtualmachineinstance"), vmi.Name, err)
}

func hasCondition(vmi *virtv1.VirtualMachineInstance, t virtv1.VirtualMachineInstanceConditionType) bool {
	for _, c := range vmi.Status.Conditions {
		if c.Type == t {
			return c.Status != corev1.ConditionFalse
		}
	}
	return false
}

func mayPause(vmi *virtv1.VirtualMachineInstance) error {
	switch {
	case vmi.Status.Phase != virtv1.Running:
		return resource(vmi, errVMNotRunning)
	case vmi.Spec.LivenessProbe != nil && vmi.Spec.LivenessProbe.GuestAgentPing == nil:
		return apierrors.NewForbidden(virtv1.Resource("virtualmachineinstance"), vmi.Name, errLiveness)
	case hasCondition(vmi, virtv1.VirtualMachineInstancePaused):
		return resource(vmi, errPaused)
	case vmi.Status.MigrationState != nil && !vmi.Status.MigrationState.Completed:
		return resource(vmi, errMigrating)
	}
	return nil
}

func mayUnpause(vmi *virtv1.VirtualMachineInstance) error {
	switch {
	case vmi.Status.Phase != virtv1.Running:
		return resource(vmi, errVMINotRunning)
	case !hasCondition(vmi, virtv1.VirtualMachineInstancePaused):
		return resource(vmi, errNotPaused)
	}
	return nil
}

func running(vmi *virtv1.VirtualMachineInstance) error {
	switch vmi.Status.Phase {
	case virtv1.Running:
		return nil
	case virtv1.Failed:
		return resource(vmi, errFailed)
	}
	return apierrors.NewBadRequest(notRunning(vmi))
}

func notRunning(vmi *virtv1.VirtualMachineInstance) string {
	return fmt.Sprintf("Unable to connect to VirtualMachineInstance because phase is %s instead of %s", vmi.Status.Phase, virtv1.Running)
}

func (a *Actions) get(ctx context.Context, name string, may func(*virtv1.VirtualMachineInstance) error) (*virtv1.VirtualMachineInstance, error) {
	obj, err := a.instances.Get(ctx, name, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, apierrors.NewNotFound(virtv1.Resource("virtualmachineinstance"), name)
	}
	if err != nil {
		return nil, err
	}
	vmi := obj.(*virtv1.VirtualMachineInstance)
	return vmi, may(vmi)
}

// locate gives the address of an endpoint of an instance at the agent of its node.
func (a *Actions) locate(ctx context.Context, vmi *virtv1.VirtualMachineInstance, query url.Values, endpoint ...string) (*url.URL, http.RoundTripper, error) {
	base, transport, err := a.nodes.NodeConnection(ctx, vmi.Status.NodeName)
	if err != nil {
		return nil, nil, err
	}
	location := base.JoinPath(append([]string{"v1", "namespaces", vmi.Namespace, "virtualmachineinstances", vmi.Name}, endpoint...)...)
	location.RawQuery = query.Encode()
	return location, transport, nil
}

func (a *Actions) stream(ctx context.Context, name string, may func(*virtv1.VirtualMachineInstance) error, query url.Values, endpoint ...string) (*url.URL, http.RoundTripper, error) {
	vmi, err := a.get(ctx, name, may)
	if err != nil {
		return nil, nil, err
	}
	return a.locate(ctx, vmi, query, endpoint...)
}

func (a *Actions) put(ctx context.Context, name, endpoint string, dryRun []string, may func(*virtv1.VirtualMachineInstance) error) error {
	return a.act(ctx, name, endpoint, nil, dryRun, may)
}

// act has the agent of an instance's node do something, unless it is a dry run. body may be nil.
func (a *Actions) act(ctx context.Context, name, endpoint string, body any, dryRun []string, may func(*virtv1.VirtualMachineInstance) error) error {
	if errs := metav1validation.ValidateDryRun(field.NewPath("dryRun"), dryRun); len(errs) > 0 {
		return apierrors.NewBadRequest(errs.ToAggregate().Error())
	}
	vmi, err := a.get(ctx, name, may)
	if err != nil || len(dryRun) > 0 {
		return err
	}
	return a.call(ctx, vmi, http.MethodPut, endpoint, body, nil)
}

// call asks the agent of an instance's node and decodes its answer into into, unless that is nil.
func (a *Actions) call(ctx context.Context, vmi *virtv1.VirtualMachineInstance, method, endpoint string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, a.deadline)
	defer cancel()
	resp, err := a.request(ctx, vmi, method, nil, body, endpoint)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if err := answer(resp, vmi.Status.NodeName); err != nil || into == nil {
		return err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxObject))
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("what node %s answers cannot be understood: %w", vmi.Status.NodeName, err))
	}
	return nil
}

// request asks the agent of an instance's node. The caller closes the answer's body.
func (a *Actions) request(ctx context.Context, vmi *virtv1.VirtualMachineInstance, method string, query url.Values, body any, endpoint ...string) (*http.Response, error) {
	location, transport, err := a.locate(ctx, vmi, query, endpoint...)
	if err != nil {
		return nil, err
	}
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		content = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, location.String(), content)
	if err != nil {
		return nil, fmt.Errorf("addressing node %s: %w", vmi.Status.NodeName, err)
	}
	if id := audit.GetAuditIDTruncated(ctx); id != "" {
		req.Header.Set("Audit-ID", id) // so that the agent's log can be matched with the audit log
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, apierrors.NewTimeoutError(fmt.Sprintf("node %s did not %s %s within %s", vmi.Status.NodeName, endpoint[len(endpoint)-1], vmi.Name, a.deadline), 0)
		}
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("could not reach the agent of node %s: %v", vmi.Status.NodeName, err))
	}
	return resp, nil
}

// answer passes on what an agent says. It may be of another version than this server, or hostile: only a well-formed
// failure is passed on as it is.
func answer(resp *http.Response, node string) error {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("reading the answer of node %s: %w", node, err))
	}
	var status metav1.Status
	if err := json.Unmarshal(body, &status); err == nil && status.Kind == "Status" && status.Code >= 400 && status.Code < 600 {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return apierrors.NewInternalError(fmt.Errorf("node %s answered %s", node, resp.Status))
}
