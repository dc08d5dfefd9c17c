package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/client-go/kubernetes"

	"github.com/virtplane/virtplane/pkg/apiserver/options"
	"github.com/virtplane/virtplane/pkg/apiserver/storage"
	"github.com/virtplane/virtplane/pkg/store"
)

func newPrepareCommand() *cobra.Command {
	dir := "/var/lib/virtplane/store"
	uid, gid := 65532, 65532
	cmd := &cobra.Command{
		Use:   "prepare",
		Short: "Give a member's folder to the user that the member runs as",
		Long: `virt-api store prepare runs before a member, as root with no capability but CHOWN: the kubelet makes the folder on the node for root,
and the member runs as an ordinary user.`,
		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			st, err := os.Stat(dir)
			if err != nil {
				return err
			}
			if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) == uid && int(sys.Gid) == gid {
				return nil
			}
			// In this order: root without capabilities may not change what is another's.
			if err := os.Chmod(dir, 0o700); err != nil {
				return err
			}
			return os.Chown(dir, uid, gid)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&dir, "data-dir", dir, "Folder in which the member keeps its data.")
	fs.IntVar(&uid, "uid", uid, "User of the member.")
	fs.IntVar(&gid, "gid", gid, "Group of the member.")
	return cmd
}

// reach connects to the store: to the member of this pod, to the servers that are given, or to a folder that nobody uses.
type reach struct {
	member   *memberOptions
	servers  []string
	embedded string
}

func (r *reach) addFlags(cmd *cobra.Command) {
	r.member.addFlags(cmd.Flags())
	cmd.Flags().StringSliceVar(&r.servers, "etcd-servers", nil, "URLs of the store. By default the member of this pod.")
	cmd.Flags().StringVar(&r.embedded, "embedded-etcd", "", "Folder of a virt-api with --embedded-etcd, which must not run.")
}

// connect returns a client, and what closes it.
func (r *reach) connect(ctx context.Context) (*clientv3.Client, func(), error) {
	if r.embedded != "" {
		a, err := store.StartAlone(ctx, store.Folder(r.embedded), 0)
		if err != nil {
			return nil, nil, err
		}
		return a.Client(), a.Close, nil
	}
	servers := r.servers
	if len(servers) == 0 {
		servers = []string{r.member.local()}
	}
	files := r.member.files()
	if strings.HasPrefix(servers[0], "http://") {
		files = store.TLSFiles{}
	}
	config, err := files.ClientConfig()
	if err != nil {
		return nil, nil, err
	}
	client, err := store.Dial(servers, config, nil)
	if err != nil {
		return nil, nil, err
	}
	return client, func() { _ = client.Close() }, nil
}

func newSnapshotCommand(ctx context.Context) *cobra.Command {
	r := reach{member: newMemberOptions()}
	cmd := &cobra.Command{
		Use:   "snapshot FILE",
		Short: "Write the content of the store to a file",
		Example: `  # From outside of the cluster
  kubectl -n kubevirt exec virt-store-0 -- virt-api store snapshot - > virtplane.db`,
		SilenceUsage: true,
		Args:         cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
			defer cancel()
			client, closeClient, err := r.connect(ctx)
			if err != nil {
				return err
			}
			defer closeClient()
			var size int64
			if args[0] == "-" {
				size, err = store.Snapshot(ctx, client, cmd.OutOrStdout())
			} else {
				size, err = store.SnapshotToFile(ctx, client, args[0])
			}
			if err == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "snapshot of %d bytes written\n", size)
			}
			return err
		},
	}
	r.addFlags(cmd)
	return cmd
}

func newRestoreCommand(ctx context.Context) *cobra.Command {
	o := newMemberOptions()
	var embedded string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Make a store of one member from a snapshot",
		Long: `virt-api store restore replaces the store by the content of a snapshot, and says which virtual machines run that the snapshot
does not know. A member that runs takes the restored store over at once. Objects are served again after "virt-api store adopt".
A store of three members is scaled down to one first; the others join again without data.`,
		Example: `  # From outside of the cluster
  kubectl -n kubevirt exec -i virt-store-0 -- virt-api store restore - < virtplane.db`,
		SilenceUsage: true,
		Args:         cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
			defer cancel()
			c := store.RestoreConfig{Folder: store.Folder(o.dir), Prefix: o.prefix, Snapshot: args[0]}
			if embedded != "" {
				c.Folder = store.Folder(embedded)
			} else {
				if o.members != 1 {
					return errors.New("scale the store down to one member first, and run this with --members=1")
				}
				if err := o.validate(); err != nil {
					return err
				}
				c.Self = o.self()
			}
			if args[0] == "-" {
				file, err := receive(cmd.InOrStdin(), string(c.Folder))
				if err != nil {
					return err
				}
				defer os.Remove(file)
				c.Snapshot = file
			}
			host, err := o.host()
			if err != nil {
				return err
			}
			contents, err := store.ReadSnapshot(c.Snapshot)
			if err != nil {
				return err
			}
			lost, err := orphans(ctx, host, contents.Under(instancesPrefix(o.prefix)))
			if err != nil {
				return err
			}
			record, err := store.NewConfigMapAnchor(host, o.namespace).Load(ctx)
			if err != nil {
				return err
			}
			if record != nil {
				c.Reached = record.Revision
			}
			id, err := store.Restore(ctx, c)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "restored %d keys of store %s as generation %d\n", len(contents.Keys), id.ID, id.Generation)
			warnOrphans(cmd.OutOrStdout(), lost)
			fmt.Fprintln(cmd.OutOrStdout(), `objects are served after "virt-api store adopt"`)
			return nil
		},
	}
	o.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&embedded, "embedded-etcd", "", "Folder of a virt-api with --embedded-etcd. A virt-api that runs there starts anew.")
	return cmd
}

// receive copies a snapshot that comes through a pipe into a file beside the data.
func receive(r io.Reader, dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(dir, ".received-")
	if err != nil {
		return "", err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("receiving the snapshot: %w", err)
	}
	return filepath.Clean(f.Name()), nil
}

func newAdoptCommand(ctx context.Context) *cobra.Command {
	r := reach{member: newMemberOptions()}
	var lose bool
	cmd := &cobra.Command{
		Use:   "adopt",
		Short: "Accept the store that is there, empty or older than it was",
		Long: `virt-api store adopt has virt-api serve the store that is there, after a restore or a loss. Virtual machines that run and that the
store does not know end, because Kubernetes deletes pods whose owner is gone: adopt names them, and does nothing as long as
there are any, unless --lose-virtual-machines is given.`,
		Example: `  kubectl -n kubevirt exec virt-store-0 -- virt-api store adopt`,

		SilenceUsage: true,
		Args:         cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			host, err := r.member.host()
			if err != nil {
				return err
			}
			client, closeClient, err := r.connect(ctx)
			if err != nil {
				return err
			}
			defer closeClient()
			found, err := client.Get(ctx, instancesPrefix(r.member.prefix), clientv3.WithPrefix())
			if err != nil {
				return fmt.Errorf("reading the virtual machine instances of the store: %w", err)
			}
			known := map[string][]byte{}
			for _, kv := range found.Kvs {
				known[string(kv.Key)] = kv.Value
			}
			lost, err := orphans(ctx, host, known)
			if err != nil {
				return err
			}
			warnOrphans(cmd.OutOrStdout(), lost)
			if len(lost) > 0 && !lose {
				return errors.New("nothing was changed: stop these virtual machines, restore a newer snapshot, or add --lose-virtual-machines")
			}
			record, err := store.Adopt(ctx, client, r.member.prefix, storage.SchemaVersion, store.NewConfigMapAnchor(host, r.member.namespace))
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "adopted store %s, generation %d, revision %d\n", record.ID, record.Generation, record.Revision)
			return nil
		},
	}
	r.addFlags(cmd)
	cmd.Flags().BoolVar(&lose, "lose-virtual-machines", false, "Adopt the store although virtual machines run that it does not know. They end.")
	return cmd
}

func instancesPrefix(prefix string) string {
	return prefix + "/kubevirt.io/virtualmachineinstances/"
}

func warnOrphans(w io.Writer, lost []string) {
	if len(lost) == 0 {
		return
	}
	fmt.Fprintf(w, "this store does not know %d virtual machines that run; once it is adopted, they end:\n", len(lost))
	for _, name := range lost {
		fmt.Fprintf(w, "  %s\n", name)
	}
}

// orphans lists the running virtual machines that are not among the stored instances.
func orphans(ctx context.Context, host kubernetes.Interface, stored map[string][]byte) ([]string, error) {
	known := map[string]bool{}
	for key, value := range stored {
		uid, err := options.StoredUID(value)
		if err != nil {
			return nil, fmt.Errorf("decoding %s: %w", key, err)
		}
		known[uid] = true
	}
	pods, err := store.RunningLaunchers(ctx, host)
	if err != nil {
		return nil, err
	}
	var lost []string
	for _, pod := range pods {
		if uid := pod.Labels["kubevirt.io/created-by"]; !known[uid] {
			lost = append(lost, fmt.Sprintf("%s/%s (pod %s)", pod.Namespace, pod.Labels["vm.kubevirt.io/name"], pod.Name))
		}
	}
	return lost, nil
}
