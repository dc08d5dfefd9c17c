package options

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"good", func(*Options) {}, ""},
		{"no store", func(o *Options) { o.Store.Embedded = "" }, "one of --embedded-etcd and --etcd-servers must be set"},
		{"two stores", func(o *Options) { o.Store.Servers = []string{"https://a"} }, "--embedded-etcd and --etcd-servers exclude each other"},
		{"prefix", func(o *Options) { o.Store.Prefix = "registry" }, `--etcd-prefix must begin with a slash and have a name after it, but is "registry"`},
		{"root as prefix", func(o *Options) { o.Store.Prefix = "/" }, `but is "/"`},
		{"half a certificate", func(o *Options) { o.Store.TLS.Cert = "a" }, "--etcd-certfile and --etcd-keyfile must be set together"},
		{"compaction", func(o *Options) { o.Store.Compaction = -1 }, "--etcd-compaction-interval must not be negative"},
		{"namespace", func(o *Options) { o.Namespace = "" }, "--namespace must be set"},
		{"service", func(o *Options) { o.Service = "" }, "--service must be set"},
		{"port", func(o *Options) { o.NodePort = 70000 }, "--node-port must be between 1 and 65535, but is 70000"},
		{"short certificates", func(o *Options) { o.Certificates.Leaf = time.Second }, "--certificate-validity must be at least a minute"},
		{"short authority", func(o *Options) { o.Certificates.Authority = o.Certificates.Leaf }, "--ca-validity must be at least four times --certificate-validity"},
		{"own certificate", func(o *Options) { o.Recommended.SecureServing.ServerCert.CertKey.CertFile = "a" }, "set it to false to use --tls-cert-file"},
		{"shutdown", func(o *Options) { o.ShutdownDelay = -1 }, "--shutdown-delay-duration must not be negative"},
		{"unknown admission plugin", func(o *Options) { o.Recommended.Admission.EnablePlugins = []string{"X"} }, `plugin "X" is unknown`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := New()
			o.Store.Embedded = "/data"
			tc.change(o)
			err := o.Validate()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestEveryFlagHasHelp(t *testing.T) {
	fs := pflag.NewFlagSet("virt-api", pflag.ContinueOnError)
	New().AddFlags(fs)
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Usage == "" {
			t.Errorf("--%s has no help", f.Name)
		}
	})
	if v := fs.Lookup("profiling"); v == nil || v.DefValue != "false" {
		t.Errorf("profiling is %v by default", v)
	}
}
