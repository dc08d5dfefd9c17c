// Command demo goes from nothing to the login prompt of a Linux guest: it starts the local cluster, installs this checkout
// into it, applies a VirtualMachine and logs in on its console through kubectl virt console, as a newcomer would. It leaves
// everything running.
package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/virtplane/virtplane/test/guest/serial"
)

//go:embed vm.yaml
var manifest string

const (
	machineName = "demo"
	user        = "debian"
	password    = "virtplane"

	startLimit = 5 * time.Minute
	loginLimit = 10 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	began := time.Now()
	for _, s := range []struct {
		what string
		args []string
	}{
		{"a Kubernetes cluster with two nodes", []string{"make", "cluster-up", "NODES=2"}},
		{"Virtplane and the guests, built and installed", []string{"make", "install"}},
	} {
		if err := step(ctx, s.what, func() error { return command(ctx, nil, s.args...) }); err != nil {
			return err
		}
	}
	if err := step(ctx, "kubectl apply of a VirtualMachine", func() error { return command(ctx, strings.NewReader(manifest), "kubectl", "apply", "-f", "-") }); err != nil {
		return err
	}
	uname := ""
	if err := step(ctx, "kubectl virt console: login prompt, password, uname -a", func() (err error) { uname, err = login(ctx); return err }); err != nil {
		return err
	}
	fmt.Printf("\n%s\n\n", uname)
	fmt.Println("The machine runs on. Try:")
	fmt.Println("  export KUBECONFIG=$PWD/.cluster/kubeconfig PATH=$PWD/.cluster/bin:$PATH")
	fmt.Println("  kubectl get vm,vmi")
	fmt.Printf("  kubectl virt console %s      # user %s, password %s; Ctrl+] leaves\n", machineName, user, password)
	fmt.Println("  make cluster-down            # when you are done")
	fmt.Printf("demo: guest login prompt after %.0f s\n", time.Since(began).Seconds())
	return nil
}

func step(ctx context.Context, what string, do func() error) error {
	fmt.Printf("==> %s\n", what)
	start := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	fmt.Printf("==> done in %.0f s\n", time.Since(start).Seconds())
	return ctx.Err()
}

func command(ctx context.Context, stdin io.Reader, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	return cmd.Run()
}

// login opens the console the way the README says, logs in and asks the guest what it is.
func login(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", "virt", "console", machineName, "--timeout", startLimit.String())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("starting kubectl virt console: %w", err)
	}
	defer func() {
		_, _ = io.WriteString(in, "\x1d") // leave as a person does
		_ = cmd.Wait()
	}()
	console := serial.New(struct {
		io.Reader
		io.Writer
	}{io.TeeReader(out, os.Stdout), in})
	ctx, cancel := context.WithTimeoutCause(ctx, loginLimit, errors.New("no login in time"))
	defer cancel()
	if err := console.Login(ctx, machineName, user, password); err != nil {
		return "", err
	}
	uname, err := console.Run(ctx, "uname -a")
	if err != nil {
		return "", err
	}
	// The next who comes finds a login prompt.
	return uname, console.Logout(ctx)
}
