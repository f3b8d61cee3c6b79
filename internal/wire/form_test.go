package wire

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"strings"
	"testing"

	"sallyport/internal/fault"
)

const formHead = "--B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n"

// goodForms are read; want is the model.
var goodForms = map[string]struct{ body, want string }{
	"one field":            {formHead + "m\r\n--B--", "m"},
	"line end at the end":  {formHead + "m\r\n--B--\r\n", "m"},
	"empty field":          {formHead + "\r\n--B--", ""},
	"delimiter in a line":  {formHead + "a--B b--B--\r\n--B--", "a--B b--B--"},
	"part of a delimiter":  {formHead + "a\r\n--\r\n-\r\n\r\r\n--B--", "a\r\n--\r\n-\r\n\r"},
	"a file before":        {"--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\nContent-Type: audio/wav\r\n\r\n\x00\xff\r\n" + formHead + "m\r\n--B--", "m"},
	"other case of names":  {"--B\r\ncontent-disposition: FORM-DATA; NAME=model\r\n\r\nm\r\n--B--", "m"},
	"identity encoding":    {"--B\r\nContent-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\nm\r\n--B--", "m"},
	"extended file name":   {"--B\r\nContent-Disposition: form-data; name=file; filename*=UTF-8''a%22; filename=a\r\n\r\nx\r\n" + formHead + "m\r\n--B--", "m"},
	"charset of the field": {"--B\r\nContent-Disposition: form-data; name=model\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\nm\r\n--B--", "m"},
	"lists":                {"--B\r\nContent-Disposition: form-data; name=\"image[]\"; filename=a\r\n\r\n1\r\n--B\r\nContent-Disposition: form-data; name=\"image[]\"; filename=b\r\n\r\n2\r\n" + formHead + "m\r\n--B--", "m"},
}

// badForms are refused.
var badForms = map[string]string{
	"empty":                        "",
	"no delimiter":                 "model=m",
	"preamble":                     "hi\r\n" + formHead + "m\r\n--B--",
	"line end before":              "\r\n" + formHead + "m\r\n--B--",
	"epilogue":                     formHead + "m\r\n--B--\r\nmore",
	"two ends":                     formHead + "m\r\n--B--\r\n--B--",
	"a CR at the end":              formHead + "m\r\n--B--\r",
	"an LF at the end":             formHead + "m\r\n--B--\n",
	"no end":                       formHead + "m\r\n",
	"no end of the delimiter":      formHead + "m\r\n--B",
	"half an end":                  formHead + "m\r\n--B-",
	"no parts":                     "--B--",
	"LF for CR LF":                 strings.ReplaceAll(formHead+"m\r\n--B--", "\r\n", "\n"),
	"LF before a delimiter":        formHead + "m\n--B--\r\n--B--",
	"CR before a delimiter":        formHead + "m\r--B--\r\n--B--",
	"delimiter right behind head":  formHead + "--B\r\n" + formHead[5:] + "m\r\n--B--",
	"LF, then the delimiter":       formHead + "\n--B--",
	"white space behind":           "--B \r\n" + formHead[5:] + "m\r\n--B--",
	"longer boundary":              formHead + "m\r\n--BC\r\n\r\n--B--",
	"no header":                    "--B\r\n\r\nm\r\n--B--",
	"no name":                      "--B\r\nContent-Type: text/plain\r\n\r\nm\r\n--B--",
	"empty name":                   "--B\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nm\r\n--B--",
	"attachment":                   "--B\r\nContent-Disposition: attachment; name=\"model\"\r\n\r\nm\r\n--B--",
	"two names":                    "--B\r\nContent-Disposition: form-data; name=\"a\"; name=\"model\"\r\n\r\nm\r\n--B--",
	"two names in other case":      "--B\r\nContent-Disposition: form-data; name=\"a\"; NAME=\"model\"\r\n\r\nm\r\n--B--",
	"extended name":                "--B\r\nContent-Disposition: form-data; name=a; name*=UTF-8''model\r\n\r\nm\r\n--B--",
	"continued name":               "--B\r\nContent-Disposition: form-data; name*0=mo; name*1=del\r\n\r\nm\r\n--B--",
	"unknown parameter":            "--B\r\nContent-Disposition: form-data; name=model; size=1\r\n\r\nm\r\n--B--",
	"escaped quotation mark":       "--B\r\nContent-Disposition: form-data; filename=\"a\\\"; name=\"model\"; x=\\\"\"; name=\"b\"\r\n\r\nm\r\n--B--",
	"backslash in a name":          "--B\r\nContent-Disposition: form-data; name=\"mo\\del\"\r\n\r\nm\r\n--B--",
	"percent in a name":            "--B\r\nContent-Disposition: form-data; name=\"mode%6c\"\r\n\r\nm\r\n--B--",
	"open quotation":               "--B\r\nContent-Disposition: form-data; name=\"model\r\n\r\nm\r\n--B--",
	"two dispositions":             "--B\r\nContent-Disposition: form-data; name=a\r\ncontent-disposition: form-data; name=model\r\n\r\nm\r\n--B--",
	"folded header":                "--B\r\nContent-Disposition: form-data;\r\n name=model\r\n\r\nm\r\n--B--",
	"space before the colon":       "--B\r\nContent-Disposition : form-data; name=model\r\n\r\nm\r\n--B--",
	"CR in a header":               "--B\r\nContent-Disposition: form-data; name=a\rX: y\r\n\r\nm\r\n--B--",
	"NUL in a header":              "--B\r\nContent-Disposition: form-data; name=\"model\x00\"\r\n\r\nm\r\n--B--",
	"long header":                  "--B\r\nX: " + strings.Repeat("x", 9000) + "\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n--B--",
	"base64":                       "--B\r\nContent-Disposition: form-data; name=model\r\nContent-Transfer-Encoding: base64\r\n\r\nbQ==\r\n--B--",
	"quoted-printable":             "--B\r\nContent-Disposition: form-data; name=model\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=6d\r\n--B--",
	"nested":                       "--B\r\nContent-Disposition: form-data; name=model\r\nContent-Type: multipart/mixed; boundary=C\r\n\r\n--C--\r\n--B--",
	"nested message":               "--B\r\nContent-Disposition: form-data; name=model\r\nContent-Type: message/rfc822\r\n\r\nx\r\n--B--",
	"other charset":                "--B\r\nContent-Disposition: form-data; name=model\r\nContent-Type: text/plain; charset=utf-16\r\n\r\nm\r\n--B--",
	"default charset":              "--B\r\nContent-Disposition: form-data; name=_charset_\r\n\r\nutf-7\r\n" + formHead + "m\r\n--B--",
	"two models":                   formHead + "m\r\n" + formHead + "n\r\n--B--",
	"model in other case":          formHead + "m\r\n--B\r\nContent-Disposition: form-data; name=Model\r\n\r\nn\r\n--B--",
	"model with a Kelvin sign":     "--B\r\nContent-Disposition: form-data; name=\"\u212a\"\r\n\r\nn\r\n--B--",
	"model as a list":              formHead + "m\r\n--B\r\nContent-Disposition: form-data; name=\"model[]\"\r\n\r\nn\r\n--B--",
	"model as an object":           formHead + "m\r\n--B\r\nContent-Disposition: form-data; name=\"model.x\"\r\n\r\nn\r\n--B--",
	"model with a space":           formHead + "m\r\n--B\r\nContent-Disposition: form-data; name=\" model\"\r\n\r\nn\r\n--B--",
	"model as a file":              "--B\r\nContent-Disposition: form-data; name=model; filename=a\r\n\r\nm\r\n--B--",
	"model as a file without name": "--B\r\nContent-Disposition: form-data; name=model; filename=\"\"\r\n\r\nm\r\n--B--",
	"long model":                   formHead + strings.Repeat("m", MaxField+1) + "\r\n--B--",
	"model that is no UTF-8":       formHead + "\xff\r\n--B--",
	"many parts":                   strings.Repeat("--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n", maxParts) + formHead + "m\r\n--B--",
}

// readForm reads a body in pieces of n bytes.
func readForm(body string, n int) (*Form, error) {
	f := NewForm("B", "model", "k")
	for len(body) > 0 {
		n := min(n, len(body))
		if err := f.Feed([]byte(body[:n])); err != nil {
			return f, err
		}
		body = body[n:]
	}
	return f, f.End()
}

func TestForm(t *testing.T) {
	for name, c := range goodForms {
		for _, n := range []int{1, 2, 3, 7, 1 << 20} {
			f, err := readForm(c.body, n)
			field, ok := f.Field("model")
			if err != nil || !ok || string(field.Value) != c.want || string(field.Span.Of([]byte(c.body))) != c.want {
				t.Errorf("%s in pieces of %d: %q at %v, %v", name, n, field.Value, field.Span, err)
			}
		}
	}
	for name, body := range badForms {
		for _, n := range []int{1, 2, 3, 7, 1 << 20} {
			f, err := readForm(body, n)
			refused, ok := errors.AsType[*fault.Error](err)
			if !ok || refused.Kind != fault.BadRequest {
				t.Errorf("%s in pieces of %d: %v, %d fields", name, n, err, len(f.fields))
			}
		}
	}
}

func TestBoundary(t *testing.T) {
	for contentType, want := range map[string]string{
		"multipart/form-data; boundary=B": "B", `Multipart/Form-Data; charset=utf-8; boundary="a b?c"`: "a b?c",
		"multipart/form-data": "", "multipart/form-data; boundary=": "", "multipart/mixed; boundary=B": "", "application/json": "",
		`multipart/form-data; boundary="a "`: "", "multipart/form-data; boundary=A; boundary=B": "",
		"multipart/form-data; boundary=" + strings.Repeat("x", 71): "", "multipart/form-data; boundary=\"a\\\"b\"": "",
	} {
		if got, ok := Boundary(contentType); got != want || ok != (want != "") {
			t.Errorf("%s: %q %v", contentType, got, ok)
		}
	}
}

// TestFormCost: no body makes the reader look at the same bytes again and again.
func TestFormCost(t *testing.T) {
	body := formHead[:len("--B\r\nContent-Disposition: form-data; name=\"")] + "file\"\r\n\r\nx" + strings.Repeat("--B", 2<<20) + "\r\n" + formHead + "m\r\n--B--"
	if _, err := readForm(body, 64<<10); err != nil {
		t.Fatal(err)
	}
}

// FuzzForm: pieces make no difference, and what is accepted the standard library
// reads alike.
func FuzzForm(f *testing.F) {
	for _, c := range goodForms {
		f.Add(c.body, 1)
	}
	for _, body := range badForms {
		f.Add(body, 3)
	}
	f.Fuzz(func(t *testing.T, body string, n int) {
		whole, err := readForm(body, 1<<20)
		pieces, pieced := readForm(body, max(n, 1))
		if (err == nil) != (pieced == nil) {
			t.Fatalf("whole: %v, in pieces: %v", err, pieced)
		}
		if err != nil {
			return
		}
		mine, has := whole.Field("model")
		if other, _ := pieces.Field("model"); !bytes.Equal(mine.Value, other.Value) || mine.Span != other.Span {
			t.Fatalf("whole: %v, in pieces: %v", mine, other)
		}
		var values []string
		r := multipart.NewReader(strings.NewReader(body), "B")
		for {
			part, err := r.NextRawPart()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("the standard library: %v", err)
			}
			b, err := io.ReadAll(part)
			if err != nil {
				t.Fatalf("the standard library: %v", err)
			}
			if part.FormName() == "model" {
				values = append(values, string(b))
			}
		}
		if has != (len(values) == 1) || has && values[0] != string(mine.Value) {
			t.Fatalf("read %q, the standard library %q", mine.Value, values)
		}
	})
}
