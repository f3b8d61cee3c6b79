package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"sallyport/internal/evidence"
	"sallyport/internal/probe"
	"sallyport/internal/report"
	"sallyport/internal/verdict"
)

// openBundle reads the sealed record of an audit.
func openBundle(path string) (*probe.Record, *evidence.Sealed, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open the bundle: %w", err)
	}
	defer file.Close()
	record, sealed, err := probe.OpenBundle(file)
	if err != nil {
		return nil, nil, broken(err)
	}
	record.Report.Bundle = &verdict.Bundle{Path: path, SHA256: sealed.SHA256, Signer: sealed.Signer}
	return record, sealed, nil
}

// broken makes a file that is not what was sealed a finding.
func broken(err error) error {
	if errors.Is(err, evidence.ErrBroken) || errors.Is(err, probe.ErrOtherEnd) {
		return &exitError{exitFinding, err.Error()}
	}
	return err
}

// proof is what the verification of a bundle tells.
type proof struct {
	Bundle    string        `json:"bundle"`
	SHA256    string        `json:"sha256"`
	Signer    string        `json:"signer,omitempty"`
	Exchanges int           `json:"exchanges"`
	Headline  verdict.Label `json:"headline"`
	Beacon    string        `json:"beacon"`            // what the randomness was, as far as it is proven
	LogKey    string        `json:"log_key,omitempty"` // of the log whose head the beacon is
	Holds     bool          `json:"holds"`
}

func auditVerify(f *flags) *cobra.Command {
	var signer, tokenizer string
	c := &cobra.Command{
		Use: "verify BUNDLE", Short: "Do an audit again from its record, offline, and compare the conclusions", Args: cobra.ExactArgs(1),
		Long: `Does an audit again from its record, offline, and compares the conclusions. The bundles that a
watch leaves in the data folder, watch/HASH.bundle, are learnt again from their observations in
the same way.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("open the bundle: %w", err)
			}
			if evidence.KindOf(file) == probe.WatchKind {
				return f.verifyWatch(cmd, args[0], file, signer)
			}
			return f.verifyAudit(cmd, args[0], signer, tokenizer)
		},
	}
	c.Flags().StringVar(&signer, "signer", "", "key that must have signed it")
	c.Flags().StringVar(&tokenizer, "tokenizer", "", tokenizerUsage)
	return c
}

// verifyAudit does an audit again.
func (f *flags) verifyAudit(cmd *cobra.Command, path, signer, tokenizer string) error {
	record, sealed, err := openBundle(path)
	if err != nil {
		return err
	}
	if err := signedBy(sealed, signer); err != nil {
		return err
	}
	if err := again(cmd, record, tokenizer); err != nil {
		return err
	}
	v := proof{path, sealed.SHA256, sealed.Signer, len(record.Exchanges), record.Report.Headline, "drawn by whoever ran the audit", "", true}
	weak := ownDraw
	if b := record.Beacon; b.Log != nil {
		v.Beacon, v.LogKey, weak = b.Source, b.Log.Key, b.Weak
	}
	return f.output(cmd).value(v, func() {
		w := cmd.OutOrStdout()
		fmt.Fprintf(w, "bundle     %s\nsha256     %s\nsigned by  %s\nexchanges  %d\nheadline   %s\nbeacon     %s\n", visible(v.Bundle), v.SHA256, orNobody(v.Signer), v.Exchanges, v.Headline, visible(v.Beacon))
		if v.LogKey != "" {
			fmt.Fprintf(w, "log key    %s\n", visible(v.LogKey))
			fmt.Fprintln(w, "The plan's hash is the last leaf of that head, and the log has signed it with this key; compare the key with the log's own: sallyport log verify")
		}
		fmt.Fprintln(w, "The file is whole; every question follows from the plan and the beacon, and every conclusion from the answers.")
		fmt.Fprintln(w, "What this cannot show:", visible(weak)+".")
	})
}

// again does an audit again from its record, by the vocabulary that was named.
func again(cmd *cobra.Command, record *probe.Record, tokenizer string) (err error) {
	if record.Tokenizer, err = readTokenizer(tokenizer); err != nil {
		return err
	}
	if _, err := record.Verify(cmd.Context()); err != nil {
		return broken(err)
	}
	return nil
}

// watchProof is what the verification of a watch's bundle tells.
type watchProof struct {
	Bundle   string        `json:"bundle"`
	SHA256   string        `json:"sha256"`
	Signer   string        `json:"signer,omitempty"`
	Upstream string        `json:"upstream"`
	Model    string        `json:"model"`
	Null     verdict.Null  `json:"null"`
	Level    verdict.Level `json:"level"`
	N        int           `json:"n"`
	Wording  string        `json:"wording"`
	Holds    bool          `json:"holds"`
}

// verifyWatch learns again from a watch's observations.
func (f *flags) verifyWatch(cmd *cobra.Command, path string, file []byte, signer string) error {
	st, sealed, err := probe.VerifyWatch(bytes.NewReader(file))
	if err != nil {
		return broken(err)
	}
	if err := signedBy(sealed, signer); err != nil {
		return err
	}
	v := watchProof{path, sealed.SHA256, sealed.Signer, st.Stream.Upstream, st.Stream.Model, st.Null, st.Level, st.N, st.Wording(), true}
	return f.output(cmd).value(v, func() {
		w := cmd.OutOrStdout()
		fmt.Fprintf(w, "bundle     %s\nsha256     %s\nsigned by  %s\nupstream   %s\nmodel      %s\nn          %d\nlevel      %s\n", visible(v.Bundle), v.SHA256, orNobody(v.Signer), visible(v.Upstream), visible(v.Model), v.N, v.Level)
		fmt.Fprintln(w, visible(v.Wording)+".")
		fmt.Fprintln(w, "The file is whole, and its conclusion follows from its observations.")
		fmt.Fprintln(w, "What this cannot show: that the observations are of what was answered; the gateway keeps features of answers and no text.")
	})
}

// signedBy checks that the key that was named signed it.
func signedBy(sealed *evidence.Sealed, signer string) error {
	if signer != "" && sealed.Signer != signer {
		return &exitError{exitFinding, fmt.Sprintf("the bundle is signed by %q and not by the key that was named", sealed.Signer)}
	}
	return nil
}

func orNobody(signer string) string {
	if signer == "" {
		return "nobody: the file is whole, but anybody could have made it"
	}
	return signer
}

func auditShow(f *flags) *cobra.Command {
	var html string
	c := &cobra.Command{
		Use: "show BUNDLE", Short: "Show the report in a bundle again", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			record, _, err := openBundle(args[0])
			if err != nil {
				return err
			}
			a := auditFlags{html: html}
			return a.tell(f, cmd, record.Report)
		},
	}
	c.Flags().StringVar(&html, "html", "", "write the report as a page to this file")
	return c
}

func auditCompare(f *flags) *cobra.Command {
	return &cobra.Command{
		Use: "compare BUNDLE BUNDLE", Short: "Show two audits side by side", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, _, err := openBundle(args[0])
			if err != nil {
				return err
			}
			b, _, err := openBundle(args[1])
			if err != nil {
				return err
			}
			var shown error
			err = f.output(cmd).value([]*verdict.Report{a.Report, b.Report}, func() { shown = report.Compare(cmd.OutOrStdout(), a.Report, b.Report) })
			return errors.Join(err, shown)
		},
	}
}
