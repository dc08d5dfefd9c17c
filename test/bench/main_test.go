package main

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestArguments(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want string
	}{
		{"none", nil, "no bench named"},
		{"unknown", []string{"-short", "speed"}, `no bench "speed": there are all, access, api, overhead, start`},
		{"all and another", []string{"all", "api"}, `no bench "all": there are all, access, api, overhead, start`},
		{"a flag too many", []string{"-fast", "api"}, "flag provided but not defined: -fast"},
		{"no such side", []string{roundCommand, shortFlag, "theirs", "file"}, "usage: bench api-round [-short] ours|crd|embedded FILE"},
		{"a short run brings nothing up", []string{"-short", "-cluster", t.TempDir(), "access"}, "access: the cluster of "},
		{"nor does one with a cluster of its own", []string{"-cluster", t.TempDir(), "access"}, "access: the cluster of "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := fmt.Sprint(run(t.Context(), tc.args)); !strings.HasPrefix(got, tc.want) {
				t.Errorf("error %s, want %s", got, tc.want)
			}
		})
	}
}

// TestShortSize wants a short run to be smaller in everything, and to leave out nothing.
func TestShortSize(t *testing.T) {
	var compare func(path string, short, full reflect.Value)
	compare = func(path string, short, full reflect.Value) {
		switch short.Kind() {
		case reflect.Struct:
			for i := range short.NumField() {
				compare(path+"."+short.Type().Field(i).Name, short.Field(i), full.Field(i))
			}
		case reflect.Int:
			if short.Int() < 1 || short.Int() >= full.Int() {
				t.Errorf("%s is %d in short and %d in full", path, short.Int(), full.Int())
			}
		case reflect.Int64: // a duration
			if short.Int() < 0 || short.Int() >= full.Int() {
				t.Errorf("%s is %v in short and %v in full", path, short.Int(), full.Int())
			}
		}
	}
	compare("size", reflect.ValueOf(shortSize), reflect.ValueOf(fullSize))
	if short, full := (place{size: shortSize}).results(), (place{size: fullSize}).results(); short == full {
		t.Errorf("both forms write into %s", full)
	}
}

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
