package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/json"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/generated/clientset/versioned/scheme"
)

func TestMachines(t *testing.T) {
	template, err := ourSide.machineTemplate()
	if err != nil {
		t.Fatal(err)
	}
	body := named(template, "machine-00001")
	var sent virtv1.VirtualMachine
	if unknown, err := json.UnmarshalStrict(body, &sent); err != nil || len(unknown) > 0 {
		t.Fatalf("our machine is none of ours: %v, %v", err, unknown)
	}
	if sent.Name != "machine-00001" || strings.Contains(string(body), "NAME") || sent.Spec.Template.Spec.Volumes[1].PersistentVolumeClaim.ClaimName != "machine-00001-data" {
		t.Errorf("the machine's name is not everywhere: %s", body)
	}
	encoded, err := asProtobuf(body)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := runtime.Decode(scheme.Codecs.UniversalDeserializer(), encoded)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&sent, decoded); diff != "" {
		t.Errorf("protobuf tells something else than JSON (-JSON +protobuf):\n%s", diff)
	}
	theirs, err := crdSide.machineTemplate()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.ReplaceAll(theirs, crdSide.apiVersion(), ourSide.apiVersion()); got != template {
		t.Errorf("the peer's machine differs in more than its group: %s", theirs)
	}
}

func TestCountEvents(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	frame := func(bodies ...string) string {
		var b strings.Builder
		for _, body := range bodies {
			b.Write(binary.BigEndian.AppendUint32(nil, uint32(len(body))))
			b.WriteString(body)
		}
		return b.String()
	}
	for _, tc := range []struct {
		name, accept, stream string
		n                    int
		want                 string
	}{
		{"lines", jsonType, "{}\n" + long + "\n{}\n", 3, "<nil>"},
		{"no more than asked for", jsonType, "{}\n{}\n", 1, "<nil>"},
		{"ended early", jsonType, "{}\n{}", 2, "the watch ended after 1 of 2 events: EOF"},
		{"frames", protobufType + ";stream=watch", frame("a", long, ""), 3, "<nil>"},
		{"ended in a frame", protobufType + ";stream=watch", frame("abc")[:5], 1, "the watch ended after 0 of 1 events: EOF"},
		{"ended in a length", protobufType + ";stream=watch", frame("a") + "\x00", 2, "the watch ended after 1 of 2 events: unexpected EOF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := fmt.Sprint(countEvents(io.Reader(strings.NewReader(tc.stream)), tc.accept, tc.n)); got != tc.want {
				t.Errorf("error %s, want %s", got, tc.want)
			}
		})
	}
}

func TestServerName(t *testing.T) {
	for _, tc := range []struct {
		command []string
		want    string
	}{
		{[]string{"/cache/kube-apiserver", "--v=2"}, "kube-apiserver"},
		{[]string{"/bin/virt-api", "--secure-port=8443"}, "virt-api"},
		{[]string{"/bin/virt-api", "store", "--members=1"}, "virt-store"},
		{[]string{"virt-api"}, "virt-api"},
		{nil, ""},
	} {
		if got := serverName(tc.command); got != tc.want {
			t.Errorf("%v is counted as %q, want %q", tc.command, got, tc.want)
		}
	}
}

func TestAPIMetrics(t *testing.T) {
	values := func(v float64) map[string]float64 {
		out := map[string]float64{}
		for _, g := range apiGoals {
			out[g.metric] = v
		}
		for _, b := range apiBesides {
			out[b.metric], out[b.peer] = v, v
		}
		return out
	}
	rounds := apiRounds{ourSide.name: {values(1), values(9), values(2)}, crdSide.name: {values(4), values(4), values(5)}, embeddedSide.name: {values(3)}}
	metrics, err := rounds.metrics()
	if err != nil {
		t.Fatal(err)
	}
	if want := len(apiGoals) + len(apiBesides) + len(apiEmbedded); len(metrics) != want {
		t.Errorf("%d metrics, want %d", len(metrics), want)
	}
	for i, m := range metrics {
		value, goal := 2.0, i < len(apiGoals)
		if i >= len(apiGoals)+len(apiBesides) {
			value = 3
		}
		if m.Value != value || *m.PeerValue != 4 {
			t.Errorf("%s: %v beside %v, want %v beside 4", m.Metric, m.Value, *m.PeerValue, value)
		}
		if (m.Goal != nil) != goal || (m.GoalOn == "ratio") != goal {
			t.Errorf("%s: goal %v on %q", m.Metric, m.Goal, m.GoalOn)
		}
	}
	delete(rounds[crdSide.name][1], "cpu_s")
	if _, err := rounds.metrics(); fmt.Sprint(err) != "a round of crd has no cpu_s" {
		t.Errorf("error %v for a round that lacks something", err)
	}
	delete(rounds, embeddedSide.name)
	rounds[crdSide.name][1]["cpu_s"] = 4
	if _, err := rounds.metrics(); fmt.Sprint(err) != "there is no round of embedded" {
		t.Errorf("error %v for a side without rounds", err)
	}
}
