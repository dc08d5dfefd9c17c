package support

import (
	"fmt"
	"strings"
)

// Document is the table as a page of Markdown.
func Document() string {
	var b strings.Builder
	b.WriteString(`# What is not served

Made from the table in ` + "`pkg/machine/support`" + `: ` + "`UPDATE_DOCS=true go test ./test/repo -run TestNotServed`" + ` writes it anew. What stands here is accepted, since a manifest may be
meant for another release, and virt-api warns of it when it is written. What can never be is refused. Differences on purpose are in [compatibility.md](compatibility.md).

## Instances that do not start

An instance that asks for one of these gets no pod. Its condition ` + "`Synchronized`" + ` is False with the reason and the message. Below ` + "`spec.template`" + ` of a VirtualMachine the fields are
the same.

| Field | When | Reason | Message |
| --- | --- | --- | --- |
`)
	for _, r := range rows {
		if r.Kind != NoEffect {
			fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", r.Field, when(r), r.Reason, r.Why)
		}
	}
	b.WriteString("\n## Fields of instances and machines without effect\n\n| Field | When | Why |\n| --- | --- | --- |\n")
	for _, r := range rows {
		if r.Kind == NoEffect {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Field, when(r), r.Why)
		}
	}
	b.WriteString("| `" + DataVolumeTemplates + "[]` | any | DataVolumes are not made by this version: create the PersistentVolumeClaim of each name yourself |\n")
	b.WriteString("| `spec.updateVolumesStrategy` | Migration | volumes are not migrated by this version: changed volumes are those of the next start, and their data is not copied |\n")
	b.WriteString("\n## Fields of the KubeVirt object without effect\n\n| Field | When | Why |\n| --- | --- | --- |\n")
	for _, r := range ClusterRows() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", r.Field, when(r), r.Why)
	}
	b.WriteString("\n## Actions that are answered with why they are not there\n\n| Subresource | Why |\n| --- | --- |\n")
	for _, a := range Actions {
		fmt.Fprintf(&b, "| `%s` | %s |\n", a.Resource, a.Why)
	}
	b.WriteString("\n## Kinds\n\nA `VirtualMachineInstanceMigration` is refused: " + NoMigrations + ".\n")
	return b.String()
}

func when(r Row) string {
	if r.When == "" {
		return "any"
	}
	return r.When
}
