package machine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	probeEvery   = 100 * time.Millisecond
	probeTimeout = 2 * time.Second
	// probeReport is how often a wait that lasts says so in the log.
	probeReport = 10 * time.Second
)

// Wait waits until a target, as in Service.WaitFor, answers. It is for use inside of a machine.
func Wait(ctx context.Context, target string) error {
	if err := waitFor(ctx, []string{target}, slog.New(slog.DiscardHandler)); err != nil {
		last := probe(context.WithoutCancel(ctx), target)
		return fmt.Errorf("%s does not answer: %w: %w", target, err, last)
	}
	return nil
}

// waitFor waits until each target has answered once. It has no deadline of its own: a service waits as long
// as its machine lives, and whoever waits for the service has one.
func waitFor(ctx context.Context, targets []string, log *slog.Logger) error {
	for _, t := range targets {
		reported := time.Now()
		for {
			err := probe(ctx, t)
			if err == nil {
				break
			}
			if time.Since(reported) > probeReport {
				reported = time.Now()
				log.Info("Waiting before the start", "for", t, "err", err)
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(probeEvery):
			}
		}
	}
	return nil
}

func probe(ctx context.Context, target string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	kind, rest, ok := strings.Cut(target, ":")
	if !ok {
		return fmt.Errorf("%q is no target to wait for", target)
	}
	switch kind {
	case "unix", "tcp":
		var d net.Dialer
		c, err := d.DialContext(ctx, kind, rest)
		if err != nil {
			return err
		}
		return c.Close()
	case "https":
		return probeHTTPS(ctx, target)
	}
	return fmt.Errorf("%q is no target to wait for", target)
}

func probeHTTPS(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	// Nothing is sent and nothing believed but "it answers", so the certificate does not matter.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
