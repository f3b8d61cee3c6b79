// Command gen writes the price cards that price.Builtin returns. It is run by hand, by
// somebody who then reads the difference, in internal/price:
//
//	npm pack @pydantic/genai-prices@0.1.8
//	npm view @pydantic/genai-prices time --json     # the date of that version
//	go run ./gen -package pydantic-genai-prices-0.1.8.tgz -date 2026-09-23
//
// The input is the npm package @pydantic/genai-prices
// (https://github.com/pydantic/genai-prices), which inlines its data in one
// script. Gen reads the object literal in that script without running it, checks
// the package's name and licence, and writes cards.txt and cards.LICENSE.
//
// Prices are kept as the decimal texts they are and multiplied exactly; one that
// is not a whole number of pico-USD per token, a price name that is not known
// here, a match rule or a constraint that cannot be carried over exactly: all of
// them stop the run. Choices made here, to be revisited when they stop a run:
//
//   - cache_write_mtok, the source's price of a cache write of no stated
//     duration, is cache_write_5m, the default duration where there are several.
//     A price of one-hour writes is never derived.
//   - A card that bills generated images or video apart has no price for output,
//     and one that bills video in the prompt apart none for input: no token class
//     could tell the two apart, and a wrong price is worse than none.
//   - Cached audio and images, billed apart for some models, are priced as cached
//     text.
//   - A model without any price per token keeps its names and gets a card without
//     rates, so that its requests are unpriced rather than priced as a namesake.
//   - A price for part of the day that follows a start date in the source's list
//     begins at that date.
package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const packageName = "@pydantic/genai-prices"

func main() {
	tarball := flag.String("package", "", "file that npm pack made")
	date := flag.String("date", "", "date on which that version was published, 2006-01-02")
	out := flag.String("out", ".", "folder to write cards.txt and cards.LICENSE to")
	flag.Parse()
	if err := run(*tarball, *date, *out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func run(tarball, date, out string) error {
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return fmt.Errorf("-date: %w", err)
	}
	files, err := unpack(tarball, "package/package.json", "package/LICENSE", "package/dist/index.js")
	if err != nil {
		return err
	}
	var manifest struct{ Name, Version, License string }
	if err := json.Unmarshal(files[0], &manifest); err != nil {
		return fmt.Errorf("package.json: %w", err)
	}
	if manifest.Name != packageName || manifest.License != "MIT" || manifest.Version == "" {
		return fmt.Errorf("package %s %s under %s is not %s under MIT", manifest.Name, manifest.Version, manifest.License, packageName)
	}
	data, err := parseLiteral(string(files[2]))
	if err != nil {
		return fmt.Errorf("dist/index.js: %w", err)
	}
	text, report, err := convert(data, manifest.Version, date)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "cards.txt"), text, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "cards.LICENSE"), files[1], 0o644); err != nil {
		return err
	}
	fmt.Fprint(os.Stderr, report)
	return nil
}

// maxFile bounds one unpacked file.
const maxFile = 16 << 20

// unpack reads the named files of a gzipped tar archive.
func unpack(tarball string, names ...string) ([][]byte, error) {
	f, err := os.Open(tarball)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", tarball, err)
	}
	files := make([][]byte, len(names))
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", tarball, err)
		}
		for i, name := range names {
			if h.Name == name {
				if files[i], err = io.ReadAll(io.LimitReader(t, maxFile)); err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
	for i, name := range names {
		if len(files[i]) == 0 {
			return nil, fmt.Errorf("%s holds no %s", tarball, name)
		}
	}
	return files, nil
}
