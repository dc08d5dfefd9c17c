package harness

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/virtplane/virtplane/test/e2e/harness/contract"
)

// TestBoots wants no more tests to boot guests at a time than there are places, and each to give its place back.
func TestBoots(t *testing.T) {
	dir := t.TempDir()
	first, err := takePlace(t.Context(), dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := takePlace(t.Context(), dir, 2); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := takePlace(short, dir, 2); err == nil || !strings.Contains(err.Error(), "one of the 2 places to boot in") {
		t.Errorf("a third place of two: %v", err)
	}
	first.Close()
	if _, err := takePlace(t.Context(), dir, 2); err != nil {
		t.Errorf("a place that was given back: %v", err)
	}
}

func TestBootsOfATest(t *testing.T) {
	t.Setenv(contract.Boots, t.TempDir())
	var b boots
	t.Run("holds one place until it ends", func(t *testing.T) {
		for range 3 { // a test that starts several guests must not wait for itself
			b.begin(t)
		}
		if b.place == nil {
			t.Error("it holds none")
		}
	})
	if b.place != nil {
		t.Error("it holds its place although it has ended")
	}
	b.begin(t)
	b.soon(0)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		b.mu.Lock()
		held := b.place != nil
		b.mu.Unlock()
		if !held {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it still holds the place that it was to give back soon")
		}
	}
	b.soon(0) // holds none: nothing to do
	b.end()
}
