package spec

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// State says how far a row has come.
type State string

const (
	// Covered: a test proves the row and would fail if the behaviour broke.
	Covered State = "covered"
	// Partly: tests prove a part; the note says what is missing.
	Partly State = "partly"
	// Todo: nothing proves the row yet.
	Todo State = "todo"
	// Later: the row waits for something outside of the project; the note is one of Outside. What is not built is Todo.
	Later State = "later"
	// NotOurs: the row binds somebody else; the note says whom.
	NotOurs State = "not-ours"
)

// States in the order in which the report prints them.
var States = []State{Covered, Partly, Todo, Later, NotOurs}

// WebConsole is what rows of the web console wait for, and no others.
const WebConsole = "the web console"

// Outside is all that a row can wait for.
var Outside = []string{WebConsole, "a Windows guest, which takes a licence"}

// Row is one requirement.
type Row struct {
	ID      string // P2-EFI-03
	Section string // of the reference manual
	Text    string
	How     string // how it can be tested
	State   State
	Note    string
	File    string // relative to the root of the repository
	Line    int
}

// Area is the row's ID without its number: P2-EFI for P2-EFI-03.
func (r Row) Area() string { return r.ID[:strings.LastIndexByte(r.ID, '-')] }

// OfConsole says whether the row speaks of the web console: it is marked so, or tested there.
func (r Row) OfConsole() bool {
	first, _, _ := strings.Cut(strings.ToLower(r.How), " ")
	return strings.Contains(r.Text, "[UI]") || slices.Contains(strings.FieldsFunc(first, func(c rune) bool { return c < 'a' || c > 'z' }), "ui")
}

var wholeID = regexp.MustCompile(`^(P[1-5]-[A-Z0-9]+(?:-[A-Z0-9]+)*)-[0-9]+[a-z]?$`)

// Root finds the repository by its go.mod, upwards from the working directory
// and, for programs that run elsewhere, from where this file was compiled.
var Root = sync.OnceValues(func() (string, error) {
	var starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		starts = append(starts, filepath.Dir(file))
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil &&
				bytes.HasPrefix(mod, []byte("module github.com/virtplane/virtplane\n")) {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", fmt.Errorf("no go.mod of github.com/virtplane/virtplane above %s", strings.Join(starts, " or "))
})

// Load reads all rows of docs/spec below root, ordered by file and line.
func Load(root string) ([]Row, error) {
	files, err := filepath.Glob(filepath.Join(root, "docs", "spec", "P*.md"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no docs/spec/P*.md below %s", root)
	}
	slices.Sort(files)
	var rows []Row
	seen := map[string]Row{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return nil, err
		}
		of, err := Parse(rel, data)
		if err != nil {
			return nil, err
		}
		for _, r := range of {
			if was, dup := seen[r.ID]; dup {
				return nil, fmt.Errorf("%s:%d: row %s stands in %s:%d too", r.File, r.Line, r.ID, was.File, was.Line)
			}
			seen[r.ID] = r
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// Parse reads the rows of one file of docs/spec; file is used for messages and
// names the area that all its rows must have.
func Parse(file string, data []byte) ([]Row, error) {
	area := strings.TrimSuffix(filepath.Base(file), ".md")
	var rows []Row
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		if !strings.HasPrefix(line, "| P") {
			continue
		}
		row, err := parseRow(line)
		if err == nil && row.Area() != area {
			err = fmt.Errorf("row %s does not belong to area %s", row.ID, area)
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, n, err)
		}
		row.File, row.Line = file, n
		rows = append(rows, row)
	}
	return rows, sc.Err()
}

func parseRow(line string) (Row, error) {
	cells := splitCells(line)
	if len(cells) != 6 {
		return Row{}, fmt.Errorf("row has %d cells instead of 6 (a | within a cell is written \\|)", len(cells))
	}
	r := Row{ID: cells[0], Section: cells[1], Text: cells[2], How: cells[3], State: State(cells[4]), Note: cells[5]}
	switch {
	case !wholeID.MatchString(r.ID):
		return Row{}, fmt.Errorf("%q is not the ID of a row", r.ID)
	case r.Text == "":
		return Row{}, fmt.Errorf("row %s has no requirement", r.ID)
	case !slices.Contains(States, r.State):
		return Row{}, fmt.Errorf("row %s: state %q must be one of %v", r.ID, r.State, States)
	case r.Note == "" && r.State == Partly:
		return Row{}, fmt.Errorf("row %s is partly covered: its note must say what is missing", r.ID)
	case r.State == Later && !slices.Contains(Outside, r.Note):
		return Row{}, fmt.Errorf("row %s is put off: its note must be one of %q; what is not built yet is todo", r.ID, Outside)
	case r.State == Later && r.Note == WebConsole && !r.OfConsole():
		return Row{}, fmt.Errorf("row %s is put off: it does not speak of the web console, so that it cannot wait for it", r.ID)
	case r.Note == "" && r.State == NotOurs:
		return Row{}, fmt.Errorf("row %s is not ours: its note must say whose it is", r.ID)
	}
	return r, nil
}

// splitCells splits a Markdown table row at the bars that are not escaped.
func splitCells(line string) []string {
	line = strings.TrimSpace(line)
	line = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|")
	var cells []string
	var cell strings.Builder
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '\\' && i+1 < len(line) && line[i+1] == '|':
			cell.WriteByte('|')
			i++
		case line[i] == '|':
			cells = append(cells, strings.TrimSpace(cell.String()))
			cell.Reset()
		default:
			cell.WriteByte(line[i])
		}
	}
	return append(cells, strings.TrimSpace(cell.String()))
}

// SetState gives the file's text with another state and note for one row. Nothing
// else of it changes.
func SetState(data []byte, id string, state State, note string) ([]byte, error) {
	var out bytes.Buffer
	found := false
	for line := range bytes.Lines(data) {
		if !bytes.HasPrefix(line, []byte("| "+id+" |")) {
			out.Write(line)
			continue
		}
		found = true
		// The last two cells, from the end: the note, then the state.
		text := strings.TrimSuffix(strings.TrimRight(string(line), "\n "), "|")
		for range 2 {
			bar := strings.LastIndex(text, "|")
			for bar > 0 && text[bar-1] == '\\' {
				bar = strings.LastIndex(text[:bar], "|")
			}
			if bar < 0 {
				return nil, fmt.Errorf("row %s has too few cells", id)
			}
			text = text[:bar]
		}
		changed := fmt.Sprintf("%s| %s | %s |", text, state, strings.ReplaceAll(note, "|", "\\|"))
		if _, err := parseRow(changed); err != nil {
			return nil, err
		}
		out.WriteString(changed + "\n")
	}
	if !found {
		return nil, fmt.Errorf("no row %s", id)
	}
	return out.Bytes(), nil
}
