package forward

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

// sshFlags are those that ssh and scp share.
type sshFlags struct {
	env                        *command.Environment
	user, identity, knownHosts string
	port                       int
	options                    []string
	local                      bool
	cmd                        *cobra.Command
}

func (s *sshFlags) add(cmd *cobra.Command, portShort string) {
	s.cmd = cmd
	f := cmd.Flags()
	f.StringVarP(&s.user, "username", "l", "", "user to log in as; the same as USER@ before the target")
	f.StringVarP(&s.identity, "identity-file", "i", "", "file of the private key")
	f.StringVar(&s.knownHosts, "known-hosts", "", "file of the known host keys; ssh's own by default")
	f.IntVarP(&s.port, "port", portShort, 22, "port of the guest that sshd listens at")
	f.StringArrayVarP(&s.options, "local-ssh-opts", "t", nil, "option for the local program, such as '-o StrictHostKeyChecking=no'; may be given several times")
	f.BoolVar(&s.local, "local-ssh", true, "accepted for scripts; the local program is always used")
	_ = f.MarkHidden("local-ssh")
}

// NewSSH returns the command ssh.
func NewSSH(e *command.Environment) *cobra.Command {
	s := &sshFlags{env: e}
	var remote string
	cmd := &cobra.Command{
		Use: "ssh [USER@][(vm|vmi)/]NAME[/NAMESPACE] [-- COMMAND]", Short: "Log in to a machine with the local ssh", ValidArgsFunction: e.CompleteTarget,
		Args: command.Args(func(cmd *cobra.Command, args []string) error {
			if cmd.ArgsLenAtDash() == 0 {
				return errors.New("the target is missing before --")
			}
			return cobra.MinimumNArgs(1)(cmd, args)
		}),
		Long: "Starts the local ssh with a connection through the API server: the guest needs sshd and a user with your key, you need no route to it. For the guest ssh knows it as KIND.NAME.NAMESPACE, in known_hosts and in ssh's own configuration. It ends with the exit code of ssh, which is that of the command in the guest.",
		Example: e.Example(`
  # Log in
  {{program}} ssh debian@web

  # With a key, to a machine of another namespace
  {{program}} ssh -i ~/.ssh/id_ed25519 debian@vm/web/prod

  # Run one command
  {{program}} ssh debian@web -- uptime

  # Options for ssh itself
  {{program}} ssh debian@web -t '-o StrictHostKeyChecking=no' -t '-v'`),
		RunE: func(_ *cobra.Command, args []string) error {
			user, target, err := s.target(args[0])
			if err != nil {
				return err
			}
			argv := append(s.arguments(target), userAt(user, hostName(target)))
			if remote != "" {
				argv = append(argv, remote)
			}
			return s.run("ssh", append(argv, args[1:]...))
		},
	}
	s.add(cmd, "p")
	cmd.Flags().StringVarP(&remote, "command", "c", "", "command to run in the guest")
	return cmd
}

// NewSCP returns the command scp.
func NewSCP(e *command.Environment) *cobra.Command {
	s := &sshFlags{env: e}
	var recursive, preserve bool
	cmd := &cobra.Command{
		Use: "scp SOURCE TARGET", Short: "Copy files to or from a machine with the local scp", Args: command.Args(cobra.ExactArgs(2)),
		Long: "Starts the local scp with a connection through the API server. One of SOURCE and TARGET is in a machine, named [USER@][(vm|vmi)/]NAME[/NAMESPACE]:PATH; PATH begins at the user's home directory.",
		Example: e.Example(`
  # To the machine
  {{program}} scp notes.txt debian@web:

  # From it, with a key
  {{program}} scp -i ~/.ssh/id_ed25519 debian@vm/web/prod:/var/log/syslog .

  # A directory, with its times and modes
  {{program}} scp -r --preserve site debian@web:/srv`),
		RunE: func(_ *cobra.Command, args []string) error {
			argv, err := s.copyArguments(args[0], args[1], recursive, preserve)
			if err != nil {
				return err
			}
			return s.run("scp", argv)
		},
	}
	s.add(cmd, "P")
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "copy directories with what is in them")
	cmd.Flags().BoolVar(&preserve, "preserve", false, "keep times and modes")
	return cmd
}

// target reads [USER@]TARGET.
func (s *sshFlags) target(text string) (user string, t command.Target, err error) {
	user = s.user
	if before, after, ok := strings.Cut(text, "@"); ok {
		if before == "" {
			return "", t, command.Usagef("target %q names no user before the @", text)
		}
		user, text = before, after
	}
	if strings.HasPrefix(user, "-") {
		return "", t, command.Usagef("user %q begins with a dash", user)
	}
	if t, err = command.ParseTarget(text); err != nil {
		return "", t, err
	}
	namespace, _, err := s.env.Namespace()
	if err != nil {
		return "", t, err
	}
	return user, t.In(namespace), nil
}

// hostName is what ssh knows a guest by.
func hostName(t command.Target) string { return t.Kind + "." + t.Name + "." + t.Namespace }

func userAt(user, host string) string {
	if user == "" {
		return host
	}
	return user + "@" + host
}

// arguments are those that make the local program go through us.
func (s *sshFlags) arguments(t command.Target) []string {
	args := []string{"-o", "ProxyCommand=" + s.proxy(t)}
	for _, option := range s.options {
		args = append(args, strings.Fields(option)...)
	}
	if s.identity != "" {
		args = append(args, "-i", s.identity)
	}
	if s.knownHosts != "" {
		args = append(args, "-o", "UserKnownHostsFile="+s.knownHosts)
	}
	return args
}

// proxy is the command that carries ssh's bytes: this program, with the flags that say which cluster and as whom.
func (s *sshFlags) proxy(t command.Target) string {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0] // what the user typed found us before
	}
	words := append([]string{self, "port-forward", "--stdio=true"}, command.Inherited(s.cmd)...)
	words = append(words, fmt.Sprintf("%s/%s/%s", t.Kind, t.Name, t.Namespace), strconv.Itoa(s.port))
	for i, w := range words {
		words[i] = quote(w)
	}
	return strings.Join(words, " ")
}

// quote writes a word so that ssh, and the shell that it starts, leave it as it is. ssh expands what follows a per cent
// sign.
func quote(word string) string {
	word = strings.ReplaceAll(word, "%", "%%")
	if word != "" && strings.Trim(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+/.,:@%") == "" {
		return word
	}
	if runtime.GOOS == "windows" {
		return `"` + strings.ReplaceAll(word, `"`, `\"`) + `"`
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// copyArguments are those of scp.
func (s *sshFlags) copyArguments(source, target string, recursive, preserve bool) ([]string, error) {
	from, fromRemote, err := s.remotePath(source)
	if err != nil {
		return nil, err
	}
	to, toRemote, err := s.remotePath(target)
	if err != nil {
		return nil, err
	}
	var t command.Target
	switch {
	case fromRemote != nil && toRemote != nil:
		return nil, command.Usagef("both %s and %s are in machines: copy by way of this computer", source, target)
	case fromRemote != nil:
		t = *fromRemote
	case toRemote != nil:
		t = *toRemote
	default:
		return nil, command.Usagef("neither %s nor %s is in a machine: say [USER@]NAME:PATH", source, target)
	}
	args := s.arguments(t)
	if recursive {
		args = append(args, "-r")
	}
	if preserve {
		args = append(args, "-p")
	}
	return append(args, from, to), nil
}

// remotePath reads a path for scp: [USER@]TARGET:PATH, or a local one, for which it gives no target.
func (s *sshFlags) remotePath(text string) (string, *command.Target, error) {
	// A drive letter of Windows is no machine, nor is a path that says where it begins.
	local := text == "" || strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".") || filepath.VolumeName(text) != ""
	name, path, remote := strings.Cut(text, ":")
	if local || !remote {
		if strings.HasPrefix(text, "-") {
			text = "./" + text // scp would take it for an option
		}
		return text, nil, nil
	}
	user, t, err := s.target(name)
	if err != nil {
		return "", nil, err
	}
	return userAt(user, hostName(t)) + ":" + path, &t, nil
}

// run runs the local program on the user's terminal and passes its exit code on. It keeps Ctrl+C to itself: while the
// program runs, that is the program's.
func (s *sshFlags) run(program string, args []string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		return fmt.Errorf("found no %s on this computer: install the OpenSSH client, or carry the port with %s port-forward", program, s.env.Program)
	}
	s.env.Trace(3, "running %s %q", path, args)
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.env.In, s.env.Out, s.env.ErrOut
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return &command.ExitError{Code: exit.ExitCode(), Program: program}
	}
	if err != nil {
		return fmt.Errorf("running %s: %w", program, err)
	}
	return nil
}
