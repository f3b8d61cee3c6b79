package gemini

import (
	"encoding/base64"
	"strings"

	"sallyport/internal/llm"
	"sallyport/internal/wire"
)

// hidden marks the seal of a thought that has no text of its own.
const hidden = "hidden."

// sealText is a seal as clients of this format carry it in a thoughtSignature, a
// field of bytes that SDKs decode and encode again: another provider's is base64.
// It is empty when there is none.
func sealText(s llm.Seal) string {
	if s.Origin == llm.ByGemini {
		return s.Data
	}
	text := s.Portable()
	if text == "" || s.Origin == llm.ByText {
		return ""
	}
	if s.Hidden {
		text = hidden + text
	}
	return base64.StdEncoding.EncodeToString([]byte(text))
}

// openSeal reads a thoughtSignature: another provider's when it says so, else this
// one's own.
func openSeal(v wire.Value) llm.Seal {
	text := v.String()
	if text == "" {
		return llm.Seal{}
	}
	plain := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(text)
	if b, err := base64.RawStdEncoding.DecodeString(plain); err == nil {
		portable, isHidden := strings.CutPrefix(string(b), hidden)
		if s := llm.OpenSeal(portable); s.Origin != "" {
			s.Hidden = isHidden
			return s
		}
	}
	return llm.Seal{Origin: llm.ByGemini, Data: text}
}
