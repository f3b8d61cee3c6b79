package upstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// signedService is the name that Bedrock's requests are signed for.
const signedService = "bedrock"

// sign signs a request with Signature Version 4, as it will be sent. The signature
// holds for this request and a few minutes; what could be used again, the secret, is
// not in it.
func (u *Upstream) sign(ctx context.Context, r *http.Request, sum func() ([sha256.Size]byte, error)) error {
	hash := sha256.Sum256(nil)
	if sum != nil {
		var err error
		if hash, err = sum(); err != nil {
			return fmt.Errorf("upstream %s: sign the request: %w", u.Name, err)
		}
	}
	credentials := aws.Credentials{AccessKeyID: u.KeyID.Reveal(), SecretAccessKey: u.Key.Reveal(), SessionToken: u.Token.Reveal()}
	if err := u.signer.SignHTTP(ctx, credentials, r, hex.EncodeToString(hash[:]), signedService, u.Region, time.Now()); err != nil {
		return fmt.Errorf("upstream %s: the request cannot be signed", u.Name)
	}
	return nil
}

// segment is a model's name as one segment of a path. What is signed escapes more
// than a URL must.
func (u *Upstream) segment(model string) string {
	if u.Kind == Bedrock {
		return strings.ReplaceAll(url.QueryEscape(model), "+", "%20")
	}
	return url.PathEscape(model)
}
