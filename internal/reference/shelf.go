package reference

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Shelf is a folder of references: those recorded here, and in imported/ those of
// others whose signer the operator pinned.
type Shelf struct {
	dir string
	own string // signer of what was recorded here
}

// NewShelf names the folder and the signer whose references are its own. It does not
// touch the disk.
func NewShelf(dir, own string) *Shelf { return &Shelf{dir, own} }

// extension of reference files, and the folder of those of others.
const (
	extension = ".ref"
	imported  = "imported"
)

// nameForm is what a reference's name may look like; it becomes a file's.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// CheckName says whether a name can be that of a reference.
func CheckName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("the name %q is not one of a reference: letters, digits, dots, underscores and dashes, at most 100", name)
	}
	return nil
}

// Save stores what was recorded here.
func (s *Shelf) Save(o *Opened) error { return s.write(s.dir, o) }

// Import stores a reference of somebody else. Its signer must be the one given: an
// unsigned file, or one of another signer, is nobody's word.
func (s *Shelf) Import(o *Opened, pinned string) error {
	switch {
	case o.Signer == "":
		return errors.New("the reference is not signed, so nobody answers for it")
	case o.Signer != pinned:
		return fmt.Errorf("the reference is signed by %s and not by the key that was named", o.Signer)
	}
	o.Imported = true
	return s.write(filepath.Join(s.dir, imported), o)
}

func (s *Shelf) write(dir string, o *Opened) error {
	if err := CheckName(o.Name); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of references: %w", err)
	}
	path := filepath.Join(dir, o.Name+extension)
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("there is a reference called %q already", o.Name)
	}
	if err != nil {
		return fmt.Errorf("store the reference: %w", err)
	}
	_, err = file.Write(o.File)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("store the reference: %w", err), os.Remove(path))
	}
	return nil
}

// Shelved is one file of a shelf.
type Shelved struct {
	Path   string
	Opened *Opened // nil when Err says why not
	Err    error
}

// List reads every reference of the shelf, those of the shelf's own first, by name.
// A folder that is not there holds none.
func (s *Shelf) List() ([]Shelved, error) {
	var all []Shelved
	for _, dir := range []string{s.dir, filepath.Join(s.dir, imported)} {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the folder of references: %w", err)
		}
		for _, e := range entries {
			if e.Type().IsRegular() && strings.HasSuffix(e.Name(), extension) {
				all = append(all, s.read(filepath.Join(dir, e.Name()), dir != s.dir))
			}
		}
	}
	return all, nil
}

// read opens one file. What its folder or its signer says is not from here is
// imported.
func (s *Shelf) read(path string, elsewhere bool) Shelved {
	o, err := Load(path)
	if err != nil {
		return Shelved{Path: path, Err: err}
	}
	o.Imported = elsewhere || o.Signer == "" || o.Signer != s.own
	return Shelved{Path: path, Opened: o}
}

// Load opens the sealed reference in a file.
func Load(path string) (*Opened, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the reference: %w", err)
	}
	return Open(bytes.NewReader(b))
}

// Find returns the reference by its name, by its id (or how it begins), or by the path
// of its file.
func (s *Shelf) Find(name string) (*Opened, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.Opened != nil && (f.Opened.Name == name || len(name) >= 8 && strings.HasPrefix(f.Opened.ID, name)) {
			return f.Opened, nil
		}
	}
	if _, err := os.Stat(name); err == nil {
		f := s.read(name, false)
		return f.Opened, f.Err
	}
	return nil, fmt.Errorf("no reference is called %q; see: sallyport reference ls", name)
}

// For returns the newest reference of a model that holds at a time; nil when there is
// none. Own references go before imported ones.
func (s *Shelf) For(model string, at time.Time) (*Opened, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(f Shelved) bool { return f.Opened == nil || f.Opened.Model != model || f.Opened.Stale(at) != "" })
	if len(all) == 0 {
		return nil, nil
	}
	return slices.MaxFunc(all, func(a, b Shelved) int {
		if a.Opened.Imported != b.Opened.Imported {
			if b.Opened.Imported {
				return 1
			}
			return -1
		}
		return a.Opened.Recorded.Compare(b.Opened.Recorded)
	}).Opened, nil
}
