package process

import (
	"fmt"

	"github.com/spf13/cobra"
)

const settingsAnnotation = "settings"

// NewCommand is the root command of a program: with --help, which ends in the table of settings when there is one,
// and --version. Arguments are refused, and errors are returned without the usage, for Main to print. The caller adds
// its flags, RunE and subcommands.
func NewCommand(name, short, settings string) *cobra.Command {
	cmd := &cobra.Command{
		Use:               name,
		Short:             short,
		Version:           Version(),
		Args:              cobra.NoArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Annotations:       map[string]string{settingsAnnotation: settings},
	}
	cmd.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	cmd.SetHelpTemplate(cmd.HelpTemplate() + `{{with index .Root.Annotations "` + settingsAnnotation + `"}}
Settings, by rising precedence: the default, the key in the --config file, the variable, the flag.

{{.}}{{end}}`)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	return cmd
}
