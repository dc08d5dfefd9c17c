package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBringUp(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answers bool
		fails   string
		want    []string
		err     string
	}{
		{"down", false, "", []string{"make cluster-up", "make install"}, "<nil>"},
		{"up with whatever build", true, "", []string{"make install"}, "<nil>"},
		{"does not come up", false, "make cluster-up", []string{"make cluster-up"}, "exit status 2"},
		{"does not install", true, "make install", []string{"make install"}, "exit status 2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var ran []string
			err := bringUp(func() bool { return tc.answers }, func(args ...string) error {
				ran = append(ran, strings.Join(args, " "))
				if ran[len(ran)-1] == tc.fails {
					return errors.New("exit status 2")
				}
				return nil
			})
			if diff := cmp.Diff(tc.want, ran); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
			if got := fmt.Sprint(err); got != tc.err {
				t.Errorf("error %s, want %s", got, tc.err)
			}
		})
	}
}
