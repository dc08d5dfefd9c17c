package guest

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// release is the Debian that guests and base are made of.
const release = "bookworm"

// keyring holds the keys of Debian's archives; it is in package debian-archive-keyring.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// source is one place and suite that apt takes packages from.
type source struct {
	uri, suite string
}

// writeSources writes a source list with those of apt's sources that serve the release, so that a mirror or a
// frozen snapshot that the machine uses is used here too.
func writeSources(apt, out string) error {
	all, err := readSources(apt)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "deb [signed-by=%s] %s %s main\n", keyring, s.uri, s.suite)
	}
	if b.Len() == 0 {
		return fmt.Errorf("no source for Debian %s with component main in %s: add one to sources.list", release, apt)
	}
	return os.WriteFile(out, []byte(b.String()), 0o644)
}

// readSources reads the release's sources of component main in both formats that apt knows.
func readSources(apt string) ([]source, error) {
	files := []string{filepath.Join(apt, "sources.list")}
	for _, pattern := range []string{"*.list", "*.sources"} {
		more, err := filepath.Glob(filepath.Join(apt, "sources.list.d", pattern))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	var found []source
	for _, name := range files {
		data, err := os.ReadFile(name)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading apt's sources: %w", err)
		}
		parse := parseList
		if strings.HasSuffix(name, ".sources") {
			parse = parseDeb822
		}
		for _, s := range parse(string(data)) {
			if !slices.Contains(found, s) {
				found = append(found, s)
			}
		}
	}
	return found, nil
}

func wanted(suite string) bool {
	switch suite {
	case release, release + "-updates", release + "-security":
		return true
	}
	return false
}

// parseList reads "deb [options] uri suite component..." lines.
func parseList(text string) []source {
	var found []source
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !ok {
			continue
		}
		rest = strings.TrimSpace(rest)
		if strings.HasPrefix(rest, "[") {
			_, rest, _ = strings.Cut(rest, "]")
		}
		fields := strings.Fields(rest)
		if len(fields) < 3 || !wanted(fields[1]) || !slices.Contains(fields[2:], "main") {
			continue
		}
		found = append(found, source{fields[0], fields[1]})
	}
	return found
}

// parseDeb822 reads stanzas of "Field: value" lines.
func parseDeb822(text string) []source {
	var found []source
	fields := make(map[string]string)
	last := ""
	flush := func() {
		if slices.Contains(strings.Fields(fields["types"]), "deb") &&
			!strings.EqualFold(strings.TrimSpace(fields["enabled"]), "no") &&
			slices.Contains(strings.Fields(fields["components"]), "main") {
			for _, uri := range strings.Fields(fields["uris"]) {
				for _, suite := range strings.Fields(fields["suites"]) {
					if wanted(suite) {
						found = append(found, source{uri, suite})
					}
				}
			}
		}
		clear(fields)
		last = ""
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				fields[last] += " " + line
			}
		default:
			name, value, ok := strings.Cut(line, ":")
			if !ok {
				continue
			}
			last = strings.ToLower(strings.TrimSpace(name))
			fields[last] = value
		}
	}
	flush()
	return found
}
