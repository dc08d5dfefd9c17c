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

// AddAuthorizedKeys adds lines to the file of keys of a user of the guest, which is made if there is none. A line that is there
// already stays as it is.
func (c *Client) AddAuthorizedKeys(ctx context.Context, user string, keys []string) error {
	return c.Execute(ctx, "guest-ssh-add-authorized-keys", map[string]any{"username": user, "keys": keys, "reset": false}, nil)
}

// RemoveAuthorizedKeys takes lines out of the file of keys of a user of the guest.
func (c *Client) RemoveAuthorizedKeys(ctx context.Context, user string, keys []string) error {
	return c.Execute(ctx, "guest-ssh-remove-authorized-keys", map[string]any{"username": user, "keys": keys}, nil)
}

// SetPassword sets the password of a user of the guest.
func (c *Client) SetPassword(ctx context.Context, user, password string) error {
	return c.Execute(ctx, "guest-set-user-password", map[string]any{"username": user, "password": []byte(password), "crypted": false}, nil)
}
