package labeller

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Facts are what QEMU says about the CPUs that it can give to guests on this node.
type Facts struct {
	// Host is the most that a guest can have.
	Host Model
	// Models are the named models, with a definition each, by name.
	Models []Model
	// Machines are the machine types behind the aliases, and the aliases.
	Machines []string
	// Hyperv are the features of Hyper-V that the kernel does for guests, as labels spell them.
	Hyperv []string
}

// Model is a CPU model.
type Model struct {
	Name string
	// Vendor is what the CPU says of itself, such as GenuineIntel.
	Vendor string
	// Features are those that the model's definition has, as QEMU spells them.
	Features []string
	// Usable says that this node has all of them.
	Usable bool
}

const (
	probeTimeout = 30 * time.Second
	// answerLimit is many times what QEMU answers, which is a megabyte.
	answerLimit = 64 << 20
	errorLimit  = 4 << 10
)

// versioned are the names of models in one certain revision; users know those without.
var versioned = regexp.MustCompile(`-v[0-9]+$`)

// Probe runs QEMU without a machine and asks it. It needs /dev/kvm if kvm is set, else it asks what QEMU does by itself.
func Probe(ctx context.Context, qemu string, kvm bool) (Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	accel := "tcg"
	if kvm {
		accel = "kvm"
	}
	cmd := exec.CommandContext(ctx, qemu, "-machine", "none,accel="+accel, "-nodefaults", "-no-user-config", "-display", "none", "-qmp", "stdio")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return Facts{}, fmt.Errorf("running %s: %w", qemu, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return Facts{}, fmt.Errorf("running %s: %w", qemu, err)
	}
	var complaint bytes.Buffer
	cmd.Stderr = &limited{&complaint, errorLimit}
	if err := cmd.Start(); err != nil {
		return Facts{}, fmt.Errorf("running %s: %w", qemu, err)
	}
	facts, err := ask(stdin, stdout, kvm)
	cancel() // it has nothing to end in order
	_, _ = io.Copy(io.Discard, stdout)
	_ = cmd.Wait()
	if err != nil {
		return Facts{}, fmt.Errorf("asking %s with %s: %w: %s", qemu, accel, err, strings.TrimSpace(complaint.String()))
	}
	return facts, nil
}

// limited takes so many bytes and forgets the rest.
type limited struct {
	w    io.Writer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	if _, err := l.w.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// conversation is one with QEMU over its machine protocol, a question at a time.
type conversation struct {
	w   io.Writer
	dec *json.Decoder
}

// ask asks all questions.
func ask(w io.Writer, r io.Reader, kvm bool) (Facts, error) {
	c := &conversation{w, json.NewDecoder(io.LimitReader(r, answerLimit))}
	var greeting struct {
		QMP *struct{} `json:"QMP"`
	}
	if err := c.dec.Decode(&greeting); err != nil {
		return Facts{}, fmt.Errorf("waiting for the greeting: %w", err)
	}
	if greeting.QMP == nil {
		return Facts{}, errors.New("the first message is no greeting")
	}
	if err := c.execute("qmp_capabilities", nil, nil); err != nil {
		return Facts{}, err
	}
	var f Facts
	host := "max"
	if kvm {
		host = "host"
	}
	var err error
	if f.Host, err = c.model(host, true); err != nil {
		return Facts{}, err
	}
	if f.Models, err = c.models(); err != nil {
		return Facts{}, err
	}
	if f.Machines, err = c.machines(); err != nil {
		return Facts{}, err
	}
	if kvm {
		f.Hyperv = c.hyperv()
	}
	return f, nil
}

func (c *conversation) execute(command string, arguments, answer any) error {
	question := map[string]any{"execute": command}
	if arguments != nil {
		question["arguments"] = arguments
	}
	raw, err := json.Marshal(question)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	if _, err := c.w.Write(append(raw, '\n')); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	for {
		var m struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
			Event string `json:"event"`
		}
		if err := c.dec.Decode(&m); err != nil {
			return fmt.Errorf("%s: reading the answer: %w", command, err)
		}
		switch {
		case m.Event != "":
			continue
		case m.Error != nil:
			return fmt.Errorf("%s: %s", command, m.Error.Desc)
		case answer == nil:
			return nil
		}
		if err := json.Unmarshal(m.Return, answer); err != nil {
			return fmt.Errorf("%s: decoding the answer: %w", command, err)
		}
		return nil
	}
}

// model asks for the definition of a model.
func (c *conversation) model(name string, usable bool) (Model, error) {
	m := Model{Name: name, Usable: usable}
	features, err := c.expand("static", name, nil)
	if err != nil {
		return Model{}, err
	}
	for feature, value := range features {
		// Every guest is told that it is one.
		if value == true && feature != "hypervisor" {
			m.Features = append(m.Features, feature)
		}
	}
	slices.Sort(m.Features)
	all, err := c.expand("full", name, nil)
	if err != nil {
		return Model{}, err
	}
	m.Vendor, _ = all["vendor"].(string)
	return m, nil
}

func (c *conversation) expand(kind, name string, props map[string]any) (map[string]any, error) {
	model := map[string]any{"name": name}
	if props != nil {
		model["props"] = props
	}
	var answer struct {
		Model struct {
			Props map[string]any `json:"props"`
		} `json:"model"`
	}
	if err := c.execute("query-cpu-model-expansion", map[string]any{"type": kind, "model": model}, &answer); err != nil {
		return nil, fmt.Errorf("model %s: %w", name, err)
	}
	return answer.Model.Props, nil
}

// models asks for the named models.
func (c *conversation) models() ([]Model, error) {
	var definitions []struct {
		Name        string   `json:"name"`
		Unavailable []string `json:"unavailable-features"`
	}
	if err := c.execute("query-cpu-definitions", nil, &definitions); err != nil {
		return nil, err
	}
	var out []Model
	for _, d := range definitions {
		if versioned.MatchString(d.Name) || d.Name == "max" || d.Name == "host" || d.Name == "base" {
			continue
		}
		m, err := c.model(d.Name, len(d.Unavailable) == 0)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Model) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// machines asks for the machine types that have an alias, such as q35: these are the newest of their kind.
func (c *conversation) machines() ([]string, error) {
	var types []struct {
		Name  string `json:"name"`
		Alias string `json:"alias"`
	}
	if err := c.execute("query-machines", nil, &types); err != nil {
		return nil, err
	}
	var out []string
	for _, t := range types {
		if t.Alias != "" {
			out = append(out, t.Name, t.Alias)
		}
	}
	slices.Sort(out)
	return out, nil
}

// hypervNames are the features of Hyper-V that depend on the kernel, by QEMU's names.
var hypervNames = map[string]string{
	"hv-vpindex": "vpindex", "hv-runtime": "runtime", "hv-reset": "reset", "hv-synic": "synic", "hv-stimer": "synictimer", "hv-frequencies": "frequencies",
	"hv-reenlightenment": "reenlightenment", "hv-tlbflush": "tlbflush", "hv-ipi": "ipi",
}

// hyperv asks what the kernel does of Hyper-V. A QEMU that cannot tell has no such features.
func (c *conversation) hyperv() []string {
	props, err := c.expand("full", "host", map[string]any{"hv-passthrough": true})
	if err != nil {
		return nil
	}
	var out []string
	for name, label := range hypervNames {
		if props[name] == true {
			out = append(out, label)
		}
	}
	slices.Sort(out)
	return out
}
