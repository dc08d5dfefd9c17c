package qmp

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
)

// masked takes the place of a secret in the transcript.
const masked = "***"

// secretKeys are members of commands and replies that hold secrets or a guest's own data.
var secretKeys = map[string]bool{
	"password": true, "passwordid": false, "data": true, "key": true, "secret": true, "buf-b64": true,
	"in-data": true, "input-data": true, "out-data": true,
}

// quiet commands and events are left out: they come again and again and say little.
var quiet = map[string]bool{
	"query-status": true, "query-qmp-schema": true, "query-balloon": true, "query-blockstats": true,
	"RTC_CHANGE": true, "BALLOON_CHANGE": true, "NIC_RX_FILTER_CHANGED": true,
}

// transcript logs the conversation at debug level.
type transcript struct{ log *slog.Logger }

func (t transcript) enabled(name string) bool {
	return t.log != nil && !quiet[name] && t.log.Enabled(context.Background(), slog.LevelDebug)
}

func (t transcript) sent(r request) {
	if !t.enabled(r.Execute) {
		return
	}
	raw, err := json.Marshal(r.Arguments)
	if err != nil {
		raw = []byte(`"unprintable"`)
	}
	t.log.Debug("Sent QMP command", "command", r.Execute, "id", r.ID, "arguments", string(Mask(raw)))
}

func (t transcript) replied(command, id string, m *message) {
	if !t.enabled(command) {
		return
	}
	if m.Error != nil {
		t.log.Debug("Received QMP error", "command", command, "id", id, "class", m.Error.Class, "desc", m.Error.Desc)
		return
	}
	t.log.Debug("Received QMP reply", "command", command, "id", id, "return", string(short(Mask(m.Return))))
}

func (t transcript) event(e Event) {
	if !t.enabled(e.Name) {
		return
	}
	// The data of an event is no secret though its member is called so.
	t.log.Debug("Received QMP event", "event", e.Name, "arguments", string(short(Mask(e.Data))))
}

// short keeps long replies from flooding the log.
func short(b []byte) []byte {
	const most = 2048
	if len(b) <= most {
		return b
	}
	return append(append([]byte{}, b[:most]...), "…"...)
}

// Mask replaces the secrets in a JSON text. What is no JSON is replaced whole.
func Mask(raw []byte) []byte {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return []byte(masked)
	}
	out, err := json.Marshal(maskValue(v))
	if err != nil {
		return []byte(masked)
	}
	return out
}

func maskValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, member := range v {
			if secretKeys[strings.ToLower(k)] {
				v[k] = masked
				continue
			}
			v[k] = maskValue(member)
		}
	case []any:
		for i := range v {
			v[i] = maskValue(v[i])
		}
	}
	return v
}
