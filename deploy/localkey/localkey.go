// Package localkey hands the address and the operator's key of a program that runs locally, which made the key at its start,
// to commands of the same user: in a file that nobody else can read.
package localkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Access is what a command needs to reach the program.
type Access struct {
	URL string `json:"url"` // of the API, without a slash at its end
	Key string `json:"key"` // the operator's
}

const fileName = "operator.json"

// maxFile is the size of the largest file that Read takes, in bytes.
const maxFile = 4 << 10

// In is the file in the folder where a program keeps its database.
func In(folder string) string { return filepath.Join(folder, fileName) }

// Of is the file of the program of that name, as seen from the folder in which the program was started. It is there only
// while the program runs with its standard database.
func Of(name string) string { return In("." + name) }

// Write makes the file, in the place of an earlier one. remove takes it away, unless another program has written its own.
func Write(file string, a Access) (remove func() error, err error) {
	content, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), fileName+".*") // mode 0600
	if err != nil {
		return nil, err
	}
	_, err = temporary.Write(content)
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(temporary.Name()))
	}
	return func() error {
		now, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || err == nil && !bytes.Equal(now, content) {
			return nil
		}
		return errors.Join(err, os.Remove(file))
	}, nil
}

// Read reads the file. Its error is an os.ErrNotExist when there is none, and tells what is wrong with one that others could
// have read or written.
func Read(file string) (Access, error) {
	info, err := os.Lstat(file)
	if err != nil {
		return Access{}, err
	}
	if !info.Mode().IsRegular() {
		return Access{}, fmt.Errorf("%s is not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return Access{}, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return Access{}, err
	}
	if err := private(info); err != nil {
		return Access{}, fmt.Errorf("%s: %w", file, err)
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return Access{}, err
	}
	var a Access
	if err := json.Unmarshal(content, &a); err != nil || a.URL == "" || a.Key == "" {
		return Access{}, fmt.Errorf("%s does not hold an address and a key", file)
	}
	return a, nil
}
