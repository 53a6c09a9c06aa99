package web

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"capf/runtime/capf"
)

// Where servers fetch CRLs.
const (
	PathCRL  = "/capf.crl" // of the CAPF certificate in force
	PathCRLs = "/crl/"     // below it, one for each CAPF certificate; see CRLPath

	crlSuffix = ".crl"
)

// CRLPath is where the CRL of one CAPF certificate is, in force or earlier, by its SHA-256 in lower-case hex.
func CRLPath(sha256 string) string { return PathCRLs + sha256 + crlSuffix }

// CRLSource gives the newest CRL in DER, and when it was made.
type CRLSource interface {
	// CRL gives that of the CAPF certificate with this SHA-256 (64 digits), or of the one in force for "".
	// CodeNotFound where there is none.
	CRL(ctx context.Context, issuer string) (der []byte, made time.Time, err error)
}

const (
	makeCRLWithin = time.Minute
	// slowestLine is what a CRL is cut to: one of 100,000 entries has 17 minutes.
	slowestLine = 4 << 10 // bytes a second
)

// CRLHandler answers GET and HEAD on PathCRL and below PathCRLs (RFC 2585: application/pkix-crl). Whoever has a CRL
// already is told so, by its digest.
func CRLHandler(source CRLSource, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathCRL, func(w http.ResponseWriter, r *http.Request) { answerCRL(w, r, source, "", log) })
	mux.HandleFunc("GET "+PathCRLs+"{file}", func(w http.ResponseWriter, r *http.Request) {
		issuer, named := strings.CutSuffix(r.PathValue("file"), crlSuffix)
		if !named || !isDigest(issuer) {
			http.NotFound(w, r)
			return
		}
		answerCRL(w, r, source, issuer, log)
	})
	return mux
}

// isDigest tells a SHA-256 as CRLPath writes it.
func isDigest(text string) bool {
	raw, err := hex.DecodeString(text)
	return err == nil && len(raw) == 32 && hex.EncodeToString(raw) == text
}

func answerCRL(w http.ResponseWriter, r *http.Request, source CRLSource, issuer string, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(r.Context(), makeCRLWithin)
	defer cancel()
	extend(w, makeCRLWithin)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-cache") // it may be asked again, and is then cheap to confirm
	der, made, err := source.CRL(ctx, issuer)
	if capf.HasCode(err, capf.CodeNotFound) {
		http.NotFound(w, r) // anybody can ask for what is not there: that is not worth the log
		return
	}
	if err != nil {
		if r.Context().Err() != nil {
			return // whoever asked has left
		}
		log.Error("the CRL could not be made", "error", err)
		http.Error(w, "the CRL cannot be made; see the log of the service", capf.ConsequenceOf(err).HTTP)
		return
	}
	extend(w, time.Duration(len(der)/slowestLine)*time.Second)
	w.Header().Set("Content-Type", "application/pkix-crl")
	w.Header().Set("ETag", `"`+capf.HexSHA256(der)+`"`)
	http.ServeContent(w, r, "", made, bytes.NewReader(der))
}
