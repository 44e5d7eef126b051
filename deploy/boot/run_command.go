package boot

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helpWidth is the longest line of --help, in columns.
const helpWidth = 100

const settingsAnnotation = "settings"

// NewCommand is the root command of a program: with --help, which ends in the list of settings when there is one,
// and --version. Arguments are refused, and errors are returned without the usage, for Execute to print. The caller adds
// its flags, RunE and subcommands, which have the same settings unless SetSettings gives them their own.
func NewCommand(name, short, settings string) *cobra.Command {
	cmd := &cobra.Command{
		Use:               name,
		Short:             short,
		Version:           Version(),
		Args:              cobra.NoArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	SetSettings(cmd, settings)
	cmd.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", helpWidth)))
	cmd.SetHelpTemplate(cmd.HelpTemplate() + `{{with or (index .Annotations "` + settingsAnnotation + `") (index .Root.Annotations "` + settingsAnnotation + `")}}
Settings, by rising precedence: the default, the key in the --config file, the variable, the flag.
{{.}}{{end}}`)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	return cmd
}

// SetSettings has the --help of cmd end in the list of its settings.
func SetSettings(cmd *cobra.Command, settings string) {
	cmd.Annotations = map[string]string{settingsAnnotation: settings}
}
