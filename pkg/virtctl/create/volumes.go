package create

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	cdiv1 "github.com/virtplane/virtplane/pkg/apis/cdi/v1beta1"
	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
	"github.com/virtplane/virtplane/pkg/virtctl/command"
)

func (v *vm) addContainerDisks() error {
	const flag = "volume-containerdisk"
	for i, text := range v.containerDisks {
		p, err := parseParams(flag, text, "src", "name", "bootorder")
		if err != nil {
			return err
		}
		if err := p.need(flag, "src"); err != nil {
			return err
		}
		name := p["name"]
		if name == "" {
			name = fmt.Sprintf("%s-containerdisk-%d", v.name, i)
		}
		if err := v.add(flag, virtv1.Volume{Name: name, ContainerDisk: &virtv1.ContainerDiskSource{Image: p["src"]}}, p); err != nil {
			return err
		}
	}
	return nil
}

func (v *vm) addClaims() error {
	const flag = "volume-pvc"
	for _, text := range v.claims {
		p, err := parseParams(flag, text, "src", "name", "bootorder")
		if err != nil {
			return err
		}
		if err := p.need(flag, "src"); err != nil {
			return err
		}
		claim, err := local(flag, p["src"])
		if err != nil {
			return err
		}
		name := p["name"]
		if name == "" {
			name = claim
		}
		if err := v.add(flag, virtv1.Volume{Name: name, PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}, p); err != nil {
			return err
		}
	}
	return nil
}

// sysprepDisk and cloudInitDisk are the names of the volumes that the manifest carries itself.
const (
	sysprepDisk   = "sysprepdisk"
	cloudInitDisk = "cloudinitdisk"
)

func (v *vm) addSysprep() error {
	const flag = "volume-sysprep"
	if !v.said(flag) {
		return nil
	}
	p, err := parseParams(flag, v.sysprep, "src", "type")
	if err != nil {
		return err
	}
	if err := p.need(flag, "src"); err != nil {
		return err
	}
	name, err := local(flag, p["src"])
	if err != nil {
		return err
	}
	source := &virtv1.SysprepSource{}
	switch strings.ToLower(p["type"]) {
	case "", "configmap":
		source.ConfigMap = &corev1.LocalObjectReference{Name: name}
	case "secret":
		source.Secret = &corev1.LocalObjectReference{Name: name}
	default:
		return command.Usagef("--%s: type must be configmap or secret, not %q", flag, p["type"])
	}
	return v.add(flag, virtv1.Volume{Name: sysprepDisk, Sysprep: source}, nil)
}

// importKind is one value of type in --volume-import.
type importKind struct {
	name string
	// needs and takes are its own parameters, besides type, name, size and bootorder.
	needs, takes []string
	// sized says that size must be given: the source does not tell it.
	sized bool
	fill  func(p params, spec *cdiv1.DataVolumeSpec) error
}

const importFlag = "volume-import"

func source(fill func(params, *cdiv1.DataVolumeSource)) func(params, *cdiv1.DataVolumeSpec) error {
	return func(p params, spec *cdiv1.DataVolumeSpec) error {
		spec.Source = &cdiv1.DataVolumeSource{}
		fill(p, spec.Source)
		return nil
	}
}

// list is a parameter with several values, between semicolons.
func list(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ";")
}

// elsewhere splits src into namespace and name, both needed.
func elsewhere(p params) (namespace, name string, err error) {
	namespace, name, err = split(importFlag, p["src"])
	if err == nil && namespace == "" {
		err = command.Usagef("--%s: src must name the namespace too: src:NAMESPACE/%s", importFlag, name)
	}
	return namespace, name, err
}

var importKinds = []importKind{
	{name: "blank", sized: true, fill: source(func(_ params, s *cdiv1.DataVolumeSource) { s.Blank = &cdiv1.DataVolumeBlankImage{} })},
	{name: "gcs", sized: true, needs: []string{"url"}, takes: []string{"secretref"}, fill: source(func(p params, s *cdiv1.DataVolumeSource) {
		s.GCS = &cdiv1.DataVolumeSourceGCS{URL: p["url"], SecretRef: p["secretref"]}
	})},
	{name: "http", sized: true, needs: []string{"url"}, takes: []string{"secretref", "certconfigmap", "extraheaders", "secretextraheaders"}, fill: source(func(p params, s *cdiv1.DataVolumeSource) {
		s.HTTP = &cdiv1.DataVolumeSourceHTTP{URL: p["url"], SecretRef: p["secretref"], CertConfigMap: p["certconfigmap"], ExtraHeaders: list(p["extraheaders"]), SecretExtraHeaders: list(p["secretextraheaders"])}
	})},
	{name: "imageio", sized: true, needs: []string{"url", "diskid"}, takes: []string{"secretref", "certconfigmap"}, fill: source(func(p params, s *cdiv1.DataVolumeSource) {
		s.ImageIO = &cdiv1.DataVolumeSourceImageIO{URL: p["url"], DiskID: p["diskid"], SecretRef: p["secretref"], CertConfigMap: p["certconfigmap"]}
	})},
	{name: "registry", sized: true, takes: []string{"url", "imagestream", "pullmethod", "secretref", "certconfigmap"}, fill: fillRegistry},
	{name: "s3", sized: true, needs: []string{"url"}, takes: []string{"secretref", "certconfigmap"}, fill: source(func(p params, s *cdiv1.DataVolumeSource) {
		s.S3 = &cdiv1.DataVolumeSourceS3{URL: p["url"], SecretRef: p["secretref"], CertConfigMap: p["certconfigmap"]}
	})},
	{name: "vddk", sized: true, needs: []string{"url", "uuid", "thumbprint", "secretref", "backingfile"}, takes: []string{"initimageurl"}, fill: source(func(p params, s *cdiv1.DataVolumeSource) {
		s.VDDK = &cdiv1.DataVolumeSourceVDDK{URL: p["url"], UUID: p["uuid"], Thumbprint: p["thumbprint"], SecretRef: p["secretref"], BackingFile: p["backingfile"], InitImageURL: p["initimageurl"]}
	})},
	{name: "pvc", needs: []string{"src"}, fill: func(p params, spec *cdiv1.DataVolumeSpec) error {
		namespace, name, err := elsewhere(p)
		spec.Source = &cdiv1.DataVolumeSource{PVC: &cdiv1.DataVolumeSourcePVC{Namespace: namespace, Name: name}}
		return err
	}},
	{name: "snapshot", needs: []string{"src"}, fill: func(p params, spec *cdiv1.DataVolumeSpec) error {
		namespace, name, err := elsewhere(p)
		spec.Source = &cdiv1.DataVolumeSource{Snapshot: &cdiv1.DataVolumeSourceSnapshot{Namespace: namespace, Name: name}}
		return err
	}},
	{name: "ds", needs: []string{"src"}, fill: func(p params, spec *cdiv1.DataVolumeSpec) error {
		namespace, name, err := split(importFlag, p["src"])
		spec.SourceRef = &cdiv1.DataVolumeSourceRef{Kind: "DataSource", Namespace: namespace, Name: name}
		return err
	}},
}

func fillRegistry(p params, spec *cdiv1.DataVolumeSpec) error {
	if (p["url"] == "") == (p["imagestream"] == "") {
		return command.Usagef("--%s: type registry needs either url or imagestream", importFlag)
	}
	if m := p["pullmethod"]; m != "" && m != "pod" && m != "node" {
		return command.Usagef("--%s: pullmethod must be pod or node, not %q", importFlag, m)
	}
	spec.Source = &cdiv1.DataVolumeSource{Registry: &cdiv1.DataVolumeSourceRegistry{URL: p["url"], ImageStream: p["imagestream"], PullMethod: p["pullmethod"], SecretRef: p["secretref"], CertConfigMap: p["certconfigmap"]}}
	return nil
}

// parameters are all that a kind knows.
func (k importKind) parameters() []string {
	return slices.Concat([]string{"type"}, k.needs, k.takes, []string{"size", "name", "bootorder"})
}

// importHelp lists the types with their parameters, for help.
func importHelp() string {
	var b strings.Builder
	for _, k := range importKinds {
		fmt.Fprintf(&b, "  type:%s", k.name)
		for _, n := range k.needs {
			fmt.Fprintf(&b, ",%s:", n)
		}
		if k.sized {
			b.WriteString(",size:")
		} else {
			b.WriteString("[,size:]")
		}
		for _, t := range append(slices.Clone(k.takes), "name", "bootorder") {
			fmt.Fprintf(&b, "[,%s:]", t)
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func (v *vm) addImports() error {
	var all []string
	for _, older := range []struct {
		kind  string
		texts []string
	}{{"ds", v.dataSources}, {"pvc", v.clones}, {"blank", v.blanks}} {
		for _, text := range older.texts {
			all = append(all, "type:"+older.kind+","+text)
		}
	}
	for _, text := range append(all, v.imports...) {
		if err := v.addImport(text); err != nil {
			return err
		}
	}
	return nil
}

func (v *vm) addImport(text string) error {
	kind, err := kindOfImport(text)
	if err != nil {
		return err
	}
	p, err := parseParams(importFlag, text, kind.parameters()...)
	if err != nil {
		return err
	}
	needs := kind.needs
	if kind.sized {
		needs = append(slices.Clone(needs), "size")
	}
	if err := p.need(importFlag, needs...); err != nil {
		return err
	}
	name := p["name"]
	if name == "" {
		name = invented("imported-volume-")
	}
	template := virtv1.DataVolumeTemplateSpec{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: cdiv1.DataVolumeSpec{Storage: &cdiv1.StorageSpec{}}}
	if err := kind.fill(p, &template.Spec); err != nil {
		return err
	}
	if text := p["size"]; text != "" {
		size, err := resource.ParseQuantity(text)
		if err != nil || size.Sign() <= 0 {
			return command.Usagef("--%s: size must be one such as 10Gi, not %q", importFlag, text)
		}
		template.Spec.Storage.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: size}
	}
	if err := v.add(importFlag, virtv1.Volume{Name: name, DataVolume: &virtv1.DataVolumeSource{Name: name}}, p); err != nil {
		return err
	}
	v.machine.Spec.DataVolumeTemplates = append(v.machine.Spec.DataVolumeTemplates, template)
	return nil
}

func kindOfImport(text string) (importKind, error) {
	var names []string
	for _, k := range importKinds {
		names = append(names, k.name)
	}
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(pair, ":")
		if strings.TrimSpace(strings.ToLower(key)) != "type" {
			continue
		}
		if i := slices.Index(names, strings.ToLower(value)); i >= 0 {
			return importKinds[i], nil
		}
		return importKind{}, command.Usagef("--%s: type must be one of %s, not %q", importFlag, strings.Join(names, ", "), value)
	}
	return importKind{}, command.Usagef("--%s: type is missing; it is one of %s", importFlag, strings.Join(names, ", "))
}
