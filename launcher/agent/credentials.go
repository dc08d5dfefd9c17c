package agent

import (
	"context"
)

// AuthorizedKeys lists the SSH keys that may log in as a user of the guest.
func (c *Client) AuthorizedKeys(ctx context.Context, user string) ([]string, error) {
	var answer struct {
		Keys []string `json:"keys"`
	}
	err := c.Execute(ctx, "guest-ssh-get-authorized-keys", map[string]any{"username": user}, &answer)
	return answer.Keys, err
}

// SetAuthorizedKeys makes the keys those that may log in as a user of the guest, and no others. No keys at all takes away
// what is there one by one, since the agent wants at least one key to be set.
func (c *Client) SetAuthorizedKeys(ctx context.Context, user string, keys []string) error {
	if len(keys) > 0 {
		return c.Execute(ctx, "guest-ssh-add-authorized-keys", map[string]any{"username": user, "keys": keys, "reset": true}, nil)
	}
	there, err := c.AuthorizedKeys(ctx, user)
	if err != nil || len(there) == 0 {
		return err
	}
	return c.Execute(ctx, "guest-ssh-remove-authorized-keys", map[string]any{"username": user, "keys": there}, nil)
}

// SetPassword sets the password of a user of the guest.
func (c *Client) SetPassword(ctx context.Context, user, password string) error {
	return c.Execute(ctx, "guest-set-user-password", map[string]any{"username": user, "password": []byte(password), "crypted": false}, nil)
}
