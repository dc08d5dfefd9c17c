// Package logging gives log lines the form that all programs of Virtplane share: one JSON object a line, with the keys timestamp,
// level, component, pos and msg (row P4-LOG-09). It knows slog only, so that programs without Kubernetes' libraries can use it.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
)

// timeFormat is RFC 3339 in UTC, with microseconds.
const timeFormat = "2006-01-02T15:04:05.000000Z"

// debugLevel is where lines begin to be for those who look for a mistake. Verbosity n of Kubernetes' libraries is level -n.
const debugLevel = slog.LevelDebug

// NewHandler makes a handler that writes the lines of a program; level is the least that is written.
func NewHandler(w io.Writer, component string, level slog.Leveler) slog.Handler {
	return slog.NewJSONHandler(w, &slog.HandlerOptions{AddSource: true, Level: level, ReplaceAttr: replace}).
		WithAttrs([]slog.Attr{slog.String("component", component)})
}

func replace(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		if a.Value.Kind() == slog.KindTime {
			return slog.String("timestamp", a.Value.Time().UTC().Format(timeFormat))
		}
	case slog.LevelKey:
		if level, ok := a.Value.Any().(slog.Level); ok {
			return slog.String(slog.LevelKey, word(level))
		}
	case slog.SourceKey:
		if source, ok := a.Value.Any().(*slog.Source); ok {
			if source == nil || source.File == "" {
				return slog.Attr{}
			}
			return slog.String("pos", fmt.Sprintf("%s:%d", filepath.Base(source.File), source.Line))
		}
	}
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}

func word(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "error"
	case level >= slog.LevelWarn:
		return "warning"
	case level > debugLevel:
		return "info"
	}
	return "debug"
}
