package node

import (
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	launcher "github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/pkg/node/network"
	"github.com/virtplane/virtplane/pkg/node/pod"
)

// Reasons of the Synchronized condition beside those of the launcher's protocol.
const (
	ReasonLauncherAway       = "LauncherNotReady"
	ReasonLauncherUntrusted  = "LauncherUntrusted"
	ReasonNetworkUnsupported = "UnsupportedNetwork"
	ReasonDevicesUnavailable = "DevicesUnavailable"
	ReasonGuestLost          = "GuestLost"
	ReasonSyncFailed         = "SyncFailed"
)

// ReasonPodTerminated is the reason of an instance whose guest ended because its pod was told to, by a drain, an eviction or
// a deletion, although nobody had deleted the instance.
const ReasonPodTerminated = "PodTerminated"

// failure is why an instance is not as its spec says.
type failure struct {
	reason, message string
	// final: trying again can only fail again.
	final bool
}

// mayChange are the reasons among the launcher's that something outside of the instance can remove: a Secret or claim may
// come, a disk be cleared.
var mayChange = map[string]bool{
	launcher.ReasonSecretMissing:      true,
	launcher.ReasonClaimUnavailable:   true,
	launcher.ReasonNetworkUnavailable: true,
	launcher.ReasonNoSpace:            true,
	launcher.ReasonNotRunning:         true,
	launcher.ReasonEnded:              true,
	launcher.ReasonWrongInstance:      true,
	launcher.ReasonUnavailable:        true,
	launcher.ReasonAgentUnavailable:   true,
}

// failureOf judges an error of a try to start or change a guest.
func failureOf(err error) *failure {
	if err == nil {
		return nil
	}
	f := judge(err)
	f.message = strings.TrimSpace(f.message)
	return f
}

func judge(err error) *failure {
	var unsupported *network.UnsupportedError
	var known *stepError
	switch {
	case errors.As(err, &unsupported):
		return &failure{reason: ReasonNetworkUnsupported, message: unsupported.Error(), final: true}
	case errors.Is(err, pod.ErrUntrusted):
		return &failure{reason: ReasonLauncherUntrusted, message: err.Error()}
	case errors.As(err, &known):
		return &failure{reason: known.reason, message: err.Error()}
	}
	f := &failure{reason: launcher.ReasonOf(err), message: status.Convert(err).Message()}
	if f.reason == "" {
		f.reason = ReasonSyncFailed
	}
	f.final = launcher.Permanent(err) && status.Code(err) != codes.Unimplemented && !mayChange[f.reason]
	return f
}

// stepError is a failure of the agent's own part.
type stepError struct {
	reason string
	err    error
}

func (e *stepError) Error() string { return e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }
