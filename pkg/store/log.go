package store

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/go-logr/logr"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// etcdLogger writes what etcd and its client say as lines of the program's own log. What they say in good times is too much for
// most.
func etcdLogger() *zap.Logger {
	return zap.New(logCore{}, zap.AddCaller()).Named("etcd")
}

// logCore passes entries of zap on to the program's log.
type logCore struct{ attrs []slog.Attr }

// Enabled implements zapcore.LevelEnabler.
func (logCore) Enabled(level zapcore.Level) bool {
	return level >= zapcore.WarnLevel || level == zapcore.InfoLevel && klog.V(4).Enabled()
}

// With implements zapcore.Core.
func (c logCore) With(fields []zapcore.Field) zapcore.Core {
	return logCore{attrs: append(slices.Clip(c.attrs), attrs(fields)...)}
}

// Check implements zapcore.Core.
func (c logCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write implements zapcore.Core.
func (c logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelInfo
	switch {
	case e.Level >= zapcore.ErrorLevel:
		level = slog.LevelError
	case e.Level == zapcore.WarnLevel:
		level = slog.LevelWarn
	}
	record := slog.NewRecord(e.Time, level, e.Message, e.Caller.PC)
	record.AddAttrs(slog.String("logger", e.LoggerName))
	record.AddAttrs(c.attrs...)
	record.AddAttrs(attrs(fields)...)
	return logr.ToSlogHandler(klog.Background()).Handle(context.Background(), record)
}

// Sync implements zapcore.Core.
func (logCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(values)
	}
	var out []slog.Attr
	for _, key := range slices.Sorted(maps.Keys(values.Fields)) {
		out = append(out, slog.Any(key, values.Fields[key]))
	}
	return out
}
