package admin

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"time"

	"capf/runtime/capf"
)

// PathCRL is where servers fetch the CRL.
const PathCRL = "/capf.crl"

// CRLSource gives the newest CRL in DER, and when it was made.
type CRLSource interface {
	CRL(ctx context.Context) (der []byte, made time.Time, err error)
}

const makeCRLWithin = time.Minute

// CRLHandler answers GET and HEAD with the CRL of the CAPF certificate in force (RFC 2585: application/pkix-crl).
// Whoever has it already is told so, by its digest.
func CRLHandler(source CRLSource, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), makeCRLWithin)
		defer cancel()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache") // it may be asked again, and is then cheap to confirm
		der, made, err := source.CRL(ctx)
		if err != nil {
			log.Error("the CRL could not be made", "error", err)
			http.Error(w, "the CRL cannot be made; see the log of the service", capf.ConsequenceOf(err).HTTP)
			return
		}
		w.Header().Set("Content-Type", "application/pkix-crl")
		w.Header().Set("ETag", `"`+capf.HexSHA256(der)+`"`)
		http.ServeContent(w, r, "", made, bytes.NewReader(der))
	})
}
