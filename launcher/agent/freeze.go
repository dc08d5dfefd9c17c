package agent

import (
	"context"
	"time"
)

// freezeTimeout is what a freeze may take: the guest first writes out all that its file systems have in memory.
const freezeTimeout = 20 * time.Second

// Frozen says whether the guest's file systems are frozen. While they are, the agent refuses most other commands.
func (c *Client) Frozen(ctx context.Context) (bool, error) {
	var state string
	err := c.Execute(ctx, "guest-fsfreeze-status", nil, &state)
	return state == "frozen", err
}

// Freeze has the guest write out its file systems and hold back what is written to them from then on. It gives the number
// of file systems.
func (c *Client) Freeze(ctx context.Context) (int, error) {
	var n int
	err := c.execute(ctx, freezeTimeout, "guest-fsfreeze-freeze", nil, &n)
	return n, err
}

// Thaw ends a freeze. It gives the number of file systems that were frozen, which may be 0.
func (c *Client) Thaw(ctx context.Context) (int, error) {
	var n int
	err := c.execute(ctx, freezeTimeout, "guest-fsfreeze-thaw", nil, &n)
	return n, err
}

// SetTime sets the guest's clock, which stood still while its CPUs did.
func (c *Client) SetTime(ctx context.Context, t time.Time) error {
	return c.Execute(ctx, "guest-set-time", map[string]any{"time": t.UnixNano()}, nil)
}
