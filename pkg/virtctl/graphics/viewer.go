package graphics

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"k8s.io/klog/v2"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// Kinds of viewers, which differ in their arguments.
const (
	remoteViewer = "remote-viewer"
	tiger        = "tiger"
	chicken      = "chicken"
	realVNC      = "real"
)

// viewer is the program that shows the screen.
type viewer struct{ kind, path string }

// find gives the command to start, and settles the kind.
func (v *viewer) find() ([]string, error) {
	if v.path != "" {
		switch v.kind {
		case remoteViewer, tiger, chicken, realVNC:
		default:
			return nil, command.Usagef("--vnc-type must be tiger, chicken, real or remote-viewer, not %q", v.kind)
		}
		path, err := exec.LookPath(v.path)
		if err != nil {
			return nil, command.Usagef("--vnc-path: %w", err)
		}
		return []string{path}, nil
	}
	if runtime.GOOS == "darwin" {
		for _, known := range []struct{ kind, pattern string }{
			{tiger, "/Applications/TigerVNC Viewer*.app/Contents/MacOS/TigerVNC Viewer"},
			{chicken, "/Applications/Chicken.app/Contents/MacOS/Chicken"},
			{realVNC, "/Applications/VNC Viewer.app/Contents/MacOS/vncviewer"},
		} {
			if found, _ := filepath.Glob(known.pattern); len(found) > 0 { // the patterns are well formed
				v.kind = known.kind
				return found[len(found)-1:], nil
			}
		}
	}
	path, err := exec.LookPath(remoteViewer)
	if err != nil {
		return nil, errNoViewer
	}
	v.kind = remoteViewer
	return []string{path}, nil
}

// arguments are those that make the viewer connect, and talk more with -v 4.
func (v *viewer) arguments(address string, port int) []string {
	if ip := net.ParseIP(address); ip != nil && ip.IsUnspecified() {
		address = "127.0.0.1"
	}
	at := net.JoinHostPort(address, fmt.Sprint(port))
	loud := bool(klog.V(4).Enabled())
	switch v.kind {
	case tiger:
		if loud {
			return []string{at, "Log=*:stderr:100"}
		}
		return []string{at}
	case realVNC:
		args := []string{at, "-WarnUnencrypted=0", "-Shared=0", "-ShareFiles=0"}
		if loud {
			args = append(args, "-log=*:stderr:100")
		}
		return args
	case chicken:
		return []string{at}
	}
	args := []string{"vnc://" + at}
	if loud {
		args = append(args, "--debug")
	}
	return args
}

// hasDisplay says whether a graphical program can show itself here.
func hasDisplay() bool {
	return runtime.GOOS != "linux" || strings.TrimSpace(os.Getenv("DISPLAY")+os.Getenv("WAYLAND_DISPLAY")) != ""
}
