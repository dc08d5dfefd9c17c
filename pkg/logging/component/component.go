// Package component sets up the log of a program that is built on Kubernetes' libraries: their flags, package logging's form of
// line, and a verbosity that the cluster's configuration may change while the program runs. Nothing but programs imports it.
package component

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"

	"github.com/go-logr/logr"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/component-base/featuregate"
	"k8s.io/component-base/logs"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/logging"
)

// defaultVerbosity is that of a program about which neither its flags nor the cluster's configuration say anything.
const defaultVerbosity = 2

// format makes the loggers of one process.
type format struct {
	mu   sync.Mutex
	name string
}

var (
	ours     = &format{}
	register = sync.OnceFunc(func() {
		utilruntime.Must(logsapi.RegisterLogFormat(logsapi.JSONLogFormat, ours, logsapi.LoggingStableOptions))
	})
)

// Create makes the logger of the process.
func (f *format) Create(c logsapi.LoggingConfiguration, o logsapi.LoggingOptions) (logr.Logger, logsapi.RuntimeControl) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := io.Writer(os.Stderr)
	if o.ErrorStream != nil {
		w = o.ErrorStream
	}
	var level slog.LevelVar
	level.Set(-slog.Level(c.Verbosity))
	return logr.FromSlogHandler(logging.NewHandler(w, f.name, &level)), logsapi.RuntimeControl{
		SetVerbosityLevel: func(v uint32) error {
			level.Set(-slog.Level(v))
			return nil
		},
	}
}

// NewConfiguration is the configuration of a program's log, to be given flags with logsapi.AddFlags.
func NewConfiguration() *logsapi.LoggingConfiguration {
	register()
	c := logsapi.NewLoggingConfiguration()
	c.Format, c.Verbosity = logsapi.JSONLogFormat, defaultVerbosity
	return c
}

// Log is the log of a program.
type Log struct {
	flag uint32

	mu  sync.Mutex
	now uint32
}

// Apply sets the process's log up as the flags say. Lines bear the name of the program.
func Apply(c *logsapi.LoggingConfiguration, gates featuregate.FeatureGate, name string) (*Log, error) {
	ours.mu.Lock()
	ours.name = name
	ours.mu.Unlock()
	if err := logsapi.ValidateAndApply(c, gates); err != nil {
		return nil, err
	}
	return newLog(uint32(c.Verbosity)), nil
}

// newLog is the log of a program that writes at a level already, and says so.
func newLog(verbosity uint32) *Log {
	tellVerbosity(verbosity)
	return &Log{flag: verbosity, now: verbosity}
}

// tellVerbosity writes the words that the manual shows (row P4-LOG-06).
func tellVerbosity(n uint32) { klog.Background().Info(fmt.Sprintf("set verbosity to %d", n)) }

// SetVerbosity changes how much is logged from now on; nil goes back to what the flag said. A program inside of another one, whose
// log is not its own, has a nil Log.
func (l *Log) SetVerbosity(to *int32) {
	if l == nil {
		return
	}
	want := l.flag
	if to != nil && *to >= 0 {
		want = uint32(*to)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if want == l.now {
		return
	}
	if _, err := logs.GlogSetter(strconv.FormatUint(uint64(want), 10)); err != nil {
		klog.Background().Error(err, "Could not set verbosity", "to", want)
		return
	}
	l.now = want
	tellVerbosity(want)
}

// Configured gives what the cluster's configuration says of log levels.
func Configured(c *virtv1.KubeVirtConfiguration) virtv1.LogVerbosity {
	if c == nil || c.DeveloperConfiguration == nil || c.DeveloperConfiguration.LogVerbosity == nil {
		return virtv1.LogVerbosity{}
	}
	return *c.DeveloperConfiguration.LogVerbosity
}
