package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/virtplane/virtplane/pkg/machine"
)

// emptyDirs is where the kubelet keeps the emptyDir volumes of a pod, below the pod's own directory.
const emptyDirs = "volumes/kubernetes.io~empty-dir"

var (
	// ErrNotThere is returned when the pod or the socket does not exist: try again when a Watcher tells of a change.
	ErrNotThere = errors.New("the launcher's socket is not there yet")
	// ErrNotListening is returned when the socket is there and nobody listens on it, or who does ends at this moment. A
	// socket is made before it is listened on, and no change is told of in between: try again soon, then less often.
	ErrNotListening = errors.New("nobody listens on the launcher's socket")
	// ErrUntrusted is returned when what is found in the pod's place cannot be its launcher.
	ErrUntrusted = errors.New("the launcher's socket is not to be trusted")
)

// Pods reaches the launcher pods of this node.
type Pods struct {
	// Dir is the kubelet's directory of pods.
	Dir string
	// User is who must answer.
	User uint32
	// Cgroups decides whether a process belongs to a pod; InPod on every real node.
	Cgroups func(pid int, pod types.UID) error
}

// New serves pods below dir, the kubelet's pods directory.
func New(dir string) *Pods {
	return &Pods{Dir: dir, User: uint32(machine.QEMUUser), Cgroups: InPod}
}

// podUID is what the kubelet names directories by: a UUID, or the hash of a static pod.
var podUID = regexp.MustCompile(`^[0-9a-zA-Z-]{8,64}$`)

func socketsDir(pod types.UID) string {
	return path.Join(string(pod), emptyDirs, machine.SocketsVolume)
}

// Dial connects to the socket of that name in the pod's volume of sockets and checks who answers. The process that it
// returns is a handle that stays true even if the process ends and its number is given to another; the caller closes it.
func (p *Pods) Dial(ctx context.Context, pod types.UID, socket string) (net.Conn, *Process, error) {
	if !podUID.MatchString(string(pod)) {
		return nil, nil, fmt.Errorf("%w: %q is no uid of a pod", ErrUntrusted, pod)
	}
	fd, err := p.open(path.Join(socketsDir(pod), socket))
	if err != nil {
		return nil, nil, fmt.Errorf("opening %s of pod %s: %w", socket, pod, err)
	}
	defer unix.Close(fd)
	// The descriptor pins what was checked: the name may lead elsewhere by now.
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", fd))
	if errors.Is(err, unix.ECONNREFUSED) {
		err = ErrNotListening
	}
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to %s of pod %s: %w", socket, pod, err)
	}
	process, err := p.peer(conn.(*net.UnixConn), pod)
	if err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("checking who serves %s of pod %s: %w", socket, pod, err)
	}
	return conn, process, nil
}

// open gives a descriptor of a socket below the pods directory, reached without symbolic links.
func (p *Pods) open(name string) (int, error) {
	dir, err := unix.Open(p.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening the pods directory %s: %w", p.Dir, err)
	}
	defer unix.Close(dir)
	fd, err := openBeneath(dir, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return -1, ErrNotThere
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV), errors.Is(err, unix.ENOTDIR):
		return -1, fmt.Errorf("%w: %s is reached by a link: %w", ErrUntrusted, name, err)
	case err != nil:
		return -1, err
	}
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("%w: %s is no socket", ErrUntrusted, name)
	}
	return fd, nil
}

// openBeneath opens name below a directory, following no link and leaving the directory by no way.
func openBeneath(dir int, name string) (int, error) {
	for {
		fd, err := unix.Openat2(dir, filepath.ToSlash(name), &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fd, err // EAGAIN: a rename happened meanwhile
		}
	}
}

// peer identifies the process that listens on the other end of conn.
func (p *Pods) peer(conn *net.UnixConn, pod types.UID) (*Process, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) { cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return nil, err
	}
	if credErr != nil {
		return nil, fmt.Errorf("asking for the peer's credentials: %w", credErr)
	}
	if cred.Uid != p.User {
		return nil, fmt.Errorf("%w: user %d serves it, not %d", ErrUntrusted, cred.Uid, p.User)
	}
	if cred.Pid <= 0 {
		return nil, fmt.Errorf("%w: its process is not seen from here; does virt-handler run with hostPID?", ErrUntrusted)
	}
	process, err := openProcess(int(cred.Pid))
	if errors.Is(err, unix.ESRCH) {
		return nil, fmt.Errorf("its process has ended: %w", ErrNotListening)
	}
	if err != nil {
		return nil, err
	}
	// Whatever process has that number now is in the pod or is not; and after that check the handle says whether it
	// still lives, so that a number given away between the two is found out.
	err = p.Cgroups(process.pid, pod)
	if alive := process.Alive(); err == nil && alive != nil {
		err = fmt.Errorf("its process has ended: %w", ErrNotListening)
	}
	if err != nil {
		process.Close()
		return nil, err
	}
	return process, nil
}
