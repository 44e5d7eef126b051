package format

import (
	"embed"
	"io/fs"

	"github.com/paidui/paidui/models/redisx"
)

//go:embed lua
var files embed.FS

// Script is the script in a file of the folder lua.
func Script(file string) *redisx.Script { return redisx.LoadScript(files, "lua/"+file) }

// ScriptWithGate is the script in a file of the folder lua that includes a gate, which is a file of another folder.
func ScriptWithGate(file string, folder fs.FS, gate string) *redisx.Script {
	return redisx.LoadScript(withGate{folder, gate}, "lua/"+file)
}

// withGate is our folder together with the one of a gate, whose file has the name "gate" here.
type withGate struct {
	folder fs.FS
	gate   string
}

// Open implements fs.FS.
func (w withGate) Open(name string) (fs.File, error) {
	if name == "gate" {
		return w.folder.Open(w.gate)
	}
	if file, err := files.Open(name); err == nil {
		return file, nil
	}
	return w.folder.Open(name)
}
