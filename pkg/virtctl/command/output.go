package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"
)

// Output is the flag -o: the form in which data is printed.
type Output struct {
	form string
	// forms are those that the command has, the first by default.
	forms []string
}

// Forms of output. A Table is for people; the others hold all of what the server said.
const (
	Table    = "table"
	JSON     = "json"
	YAML     = "yaml"
	JSONPath = "jsonpath=TEMPLATE"
)

// OutputFlag adds -o with these forms, the first by default.
func OutputFlag(cmd *cobra.Command, forms ...string) *Output {
	o := &Output{forms: forms}
	cmd.Flags().StringVarP(&o.form, "output", "o", forms[0], "form of the output: "+strings.Join(forms, ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return slices.DeleteFunc(slices.Clone(forms), func(s string) bool { return s == JSONPath }), cobra.ShellCompDirectiveNoFileComp
	})
	return o
}

// Check refuses a form that the command does not have, before anything is asked of the cluster.
func (o *Output) Check() error {
	if slices.Contains(o.forms, o.form) && o.form != JSONPath {
		return nil
	}
	if template, ok := strings.CutPrefix(o.form, "jsonpath="); ok && slices.Contains(o.forms, JSONPath) {
		if err := jsonpath.New("output").Parse(template); err != nil {
			return Usagef("--output: %w", err)
		}
		return nil
	}
	return Usagef("--output must be one of %s, not %q", strings.Join(o.forms, ", "), o.form)
}

// Is says whether the user asked for this form.
func (o *Output) Is(form string) bool { return o.form == form }

// Print prints an object in a form other than a table.
func (o *Output) Print(out io.Writer, obj any) error {
	raw, err := json.Marshal(obj)
	if err != nil {
		return fmt.Errorf("encoding the output: %w", err)
	}
	if template, ok := strings.CutPrefix(o.form, "jsonpath="); ok {
		return printJSONPath(out, template, raw)
	}
	if o.form == YAML {
		if raw, err = yaml.JSONToYAML(raw); err != nil {
			return fmt.Errorf("encoding the output: %w", err)
		}
		_, err = out.Write(raw)
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, raw, "", "  "); err != nil {
		return fmt.Errorf("encoding the output: %w", err)
	}
	pretty.WriteByte('\n')
	_, err = pretty.WriteTo(out)
	return err
}

func printJSONPath(out io.Writer, template string, raw []byte) error {
	path := jsonpath.New("output").AllowMissingKeys(true)
	if err := path.Parse(template); err != nil {
		return Usagef("--output: %w", err)
	}
	var data any
	if err := json.Unmarshal(raw, &data); err != nil {
		return fmt.Errorf("encoding the output: %w", err)
	}
	if err := path.Execute(out, data); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	fmt.Fprintln(out)
	return nil
}

// Rows prints a table; an empty cell shows as <none>.
func Rows(out io.Writer, header []string, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 4, 3, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for _, row := range rows {
		for i, cell := range row {
			if cell == "" {
				row[i] = "<none>"
			}
		}
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return flush(w)
}

// Pairs prints names with their values, leaving out those without a value.
func Pairs(out io.Writer, pairs [][2]string) error {
	w := tabwriter.NewWriter(out, 0, 4, 3, ' ', 0)
	for _, p := range pairs {
		if p[1] != "" {
			fmt.Fprintf(w, "%s:\t%s\n", p[0], p[1])
		}
	}
	return flush(w)
}

func flush(w *tabwriter.Writer) error {
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}
