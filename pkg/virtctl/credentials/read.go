package credentials

import (
	"fmt"
	"io"
	"os"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// readFile reads a file, or standard input for -.
func readFile(e *command.Environment, file string) ([]byte, error) {
	if file == "-" {
		raw, err := io.ReadAll(e.In)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return raw, nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, command.Usage(err)
	}
	return raw, nil
}
