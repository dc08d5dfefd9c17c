package domain

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
	"github.com/virtplane/virtplane/launcher/credentials"
)

// credentialsView is how far the guest has the keys and passwords of its Secrets.
type credentialsView struct {
	kick chan struct{}
	// failure is why it has not, nil if it has; tried says that this is known.
	failure error
	tried   bool
}

// describeCredentials is nil for a guest that gets none through its agent; mu is held.
func (d *Domain) describeCredentials() *api.CredentialsState {
	switch {
	case len(d.rec.Guest.Credentials) == 0:
		return nil
	case !d.creds.tried && d.rec.CredentialsSynced:
		return &api.CredentialsState{Synced: true} // an earlier launcher has seen to it
	case !d.creds.tried:
		return &api.CredentialsState{Reason: api.ReasonAgentUnavailable, Message: "the guest agent has not connected yet"}
	case d.creds.failure != nil:
		return &api.CredentialsState{Reason: api.ReasonOf(d.creds.failure), Message: d.creds.failure.Error()}
	}
	return &api.CredentialsState{Synced: true}
}

// given remembers what a guest was given since its agent has connected.
type given map[string][sha256.Size]byte

// Marks of what is given.
const (
	keysOf     = "keys of "
	passwordOf = "password of "
)

// keepCredentials gives the guest the keys and passwords of its Secrets, whenever its agent connects and whenever a Secret
// changes, until QEMU ends.
func (d *Domain) keepCredentials() {
	d.mu.Lock()
	list := d.rec.Guest.Credentials
	d.mu.Unlock()
	if len(list) == 0 {
		return
	}
	changes, stop := d.watchSecrets(list)
	defer stop()
	done, since := given{}, time.Time{}
	for {
		d.mu.Lock()
		connected, at, frozen := d.agent.connected, d.agent.since, d.rec.Frozen
		d.mu.Unlock()
		var next <-chan time.Time
		switch {
		case !connected: // its coming will be told
		case frozen || d.agentReady() != nil:
			next = time.After(d.Times.AskAgain)
		default:
			if !at.Equal(since) {
				done, since = given{}, at // it may be another guest, started from the same disks
			}
			err := d.giveCredentials(list, done)
			d.noteCredentials(err)
			next = time.After(d.Times.Recheck)
			if err != nil {
				next = time.After(d.Times.AskAgain)
			}
		}
		select {
		case <-d.ended:
			return
		case <-changes:
		case <-d.creds.kick:
		case <-next:
			// Keys are looked at anew: the guest may have lost them. Passwords cannot be read.
			maps.DeleteFunc(done, func(what string, _ [sha256.Size]byte) bool { return strings.HasPrefix(what, keysOf) })
		}
	}
}

// watchSecrets follows the Secrets. Where that is not possible they are still looked at now and then.
func (d *Domain) watchSecrets(list []Credential) (<-chan struct{}, func()) {
	var dirs []string
	for _, c := range list {
		if !slices.Contains(dirs, c.Dir) {
			dirs = append(dirs, c.Dir)
		}
	}
	w, err := d.WatchSecrets(dirs)
	if err != nil {
		d.Log.Error("Could not watch the Secrets of the guest, looking at them now and then", "err", err)
		return nil, func() {}
	}
	return w.Changes(), func() { closeQuietly(w) }
}

// noteCredentials publishes how it went.
func (d *Domain) noteCredentials(err error) {
	d.mu.Lock()
	told := d.creds.failure != nil && err != nil && d.creds.failure.Error() == err.Error()
	d.mu.Unlock()
	if err != nil && !told {
		d.Log.Warn("Could not give the guest its credentials, trying again", "err", err)
	}
	d.set(func() {
		d.creds.tried, d.creds.failure = true, err
		if d.rec.CredentialsSynced != (err == nil) {
			d.rec.CredentialsSynced = err == nil
			d.save()
		}
	})
}

// giveCredentials brings the guest up to what the Secrets hold. All is tried, and the first failure told.
func (d *Domain) giveCredentials(list []Credential, done given) error {
	keys, passwords := map[string][]string{}, map[string]string{}
	for _, c := range list {
		secret, err := credentials.Read(c.Dir)
		if err != nil {
			return api.Errorf(codes.Unavailable, api.ReasonSecretMissing, "reading Secret %s: %w", c.Secret, err)
		}
		if len(c.Users) == 0 {
			maps.Copy(passwords, credentials.Passwords(secret))
		}
		for _, user := range c.Users {
			for _, key := range credentials.Keys(secret) {
				if !slices.Contains(keys[user], key) {
					keys[user] = append(keys[user], key)
				}
			}
			if keys[user] == nil {
				keys[user] = []string{}
			}
		}
	}
	var first error
	give := func(what, user, content string, do func(context.Context) error) {
		sum := sha256.Sum256([]byte(content))
		if done[what+user] == sum {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		err := do(ctx)
		switch {
		case err == nil:
			done[what+user] = sum
		case first != nil:
		case refused(err):
			first = api.Errorf(codes.FailedPrecondition, api.ReasonCredentialsRefused, "%s%s: %w", what, agent.Clean(user), err)
		default:
			first = api.Wrap(fmt.Errorf("%s%s: %w", what, agent.Clean(user), err), codes.Unavailable, api.ReasonAgentUnavailable)
		}
	}
	for _, user := range slices.Sorted(maps.Keys(keys)) {
		give(keysOf, user, strings.Join(keys[user], "\n"), func(ctx context.Context) error { return d.giveKeys(ctx, user, keys[user]) })
	}
	for _, user := range slices.Sorted(maps.Keys(passwords)) {
		give(passwordOf, user, passwords[user], func(ctx context.Context) error {
			return d.withAgent(ctx, func(a *agent.Client) error { return a.SetPassword(ctx, user, passwords[user]) })
		})
	}
	return first
}
