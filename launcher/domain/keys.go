package domain

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/virtplane/virtplane/launcher/agent"
	"github.com/virtplane/virtplane/launcher/api"
)

// keyMark ends each line of a file of keys that comes from a Secret: as a part of the key's comment, which programs do not read.
// All other lines are those of the guest's owner. It is a mark of the line and not a line of its own, for the guest agent refuses
// lines that are no keys, and does not show them; and it outlives the pod, which may not know what an earlier one has given.
const keyMark = " kubevirt.io/access-credential"

// giveKeys makes the keys those from Secrets that may log in as a user of the guest, unless they are. Keys of the guest's owner
// stay.
func (d *Domain) giveKeys(ctx context.Context, user string, keys []string) error {
	marked := markedKeys(keys)
	old := false
	err := d.withAgent(ctx, func(a *agent.Client) error {
		there, err := a.AuthorizedKeys(ctx, user)
		old = agent.IsUnknown(err)
		add, remove := keyChanges(there, marked)
		// A user without a file of keys is refused here, and gets one by the first key.
		if err != nil && (!refused(err) || old || len(add) == 0) {
			return err
		}
		if len(remove) > 0 {
			if err := a.RemoveAuthorizedKeys(ctx, user, remove); err != nil {
				return err
			}
		}
		if len(add) == 0 {
			return nil
		}
		return a.AddAuthorizedKeys(ctx, user, add)
	})
	if !old {
		return err
	}
	return d.writeKeys(ctx, user, marked)
}

func markedKeys(keys []string) []string {
	out := make([]string, 0, len(keys))
	for _, key := range keys {
		out = append(out, strings.TrimSuffix(key, keyMark)+keyMark)
	}
	return out
}

// keyChanges tells which lines to add to a file, and which to take out of it, so that of the marked lines it has those that are
// wanted. The agent leaves out the last line's end: what the owner has appended since stands on our line then, and is given a line
// of its own.
func keyChanges(there, marked []string) (add, remove []string) {
	for _, line := range there {
		_, appended, ours := strings.Cut(line, keyMark)
		if !ours || slices.Contains(marked, line) {
			continue
		}
		remove = append(remove, line)
		if appended = strings.TrimSpace(appended); appended != "" {
			add = append(add, appended)
		}
	}
	for _, line := range marked {
		if !slices.Contains(there, line) {
			add = append(add, line)
		}
	}
	return add, remove
}

// writeKeysScript runs as the user whose keys it writes, so that no link in that user's folders leads it elsewhere. It keeps all
// lines but the marked ones.
const writeKeysScript = `umask 077 && f="$HOME/.ssh/authorized_keys" && mkdir -p "$HOME/.ssh" && ` +
	`{ if [ -f "$f" ]; then grep -v '` + keyMark + `$' "$f" || [ $? -eq 1 ] || exit 1; fi; cat; } >"$HOME/.ssh/.authorized_keys.new" && mv "$HOME/.ssh/.authorized_keys.new" "$f"`

// writeKeys does the same with agents from before 5.2, which know nothing of keys but run commands.
func (d *Domain) writeKeys(ctx context.Context, user string, marked []string) error {
	if user == "" || strings.HasPrefix(user, "-") || strings.ContainsAny(user, ":/\n") {
		return api.Errorf(codes.FailedPrecondition, api.ReasonCredentialsRefused, "%q cannot be the name of a user", agent.Clean(user))
	}
	content := strings.Join(marked, "\n") + "\n"
	if len(marked) == 0 {
		content = ""
	}
	exit, err := d.runInGuest(ctx, []string{"su", "-s", "/bin/sh", "-c", writeKeysScript, user}, []byte(content))
	if err != nil {
		return err
	}
	if exit.Code != 0 || exit.Signal != 0 {
		return api.Errorf(codes.FailedPrecondition, api.ReasonCredentialsRefused, "writing the keys failed with exit code %d: %s", exit.Code, agent.Clean(string(exit.Output)))
	}
	return nil
}
