package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	virtv1 "github.com/virtplane/virtplane/pkg/apis/kubevirt/v1"
)

// VSOCKDialer connects to a port of a guest over the socket between guest and node.
type VSOCKDialer func(ctx context.Context, cid, port uint32) (net.Conn, error)

// vsock relays to a program in the guest. By TLS the program learns that it is this node that calls; which guest answers
// needs no proof, for its address was given to it.
func (s *Server) vsock(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	port, err := strconv.ParseUint(query.Get("port"), 10, 32)
	if err != nil {
		fail(w, r, apierrors.NewBadRequest(fmt.Sprintf("port %q must be a number of 32 bits", query.Get("port"))))
		return
	}
	secure := true
	if text := query.Get("tls"); text != "" {
		if secure, err = strconv.ParseBool(text); err != nil {
			fail(w, r, apierrors.NewBadRequest(fmt.Sprintf("tls %q must be true or false", text)))
			return
		}
	}
	s.stream(w, r, streamSpec{kind: typeVSOCK, may: hasVSOCK, turn: s.shared, form: form{halves: true},
		dial: func(ctx context.Context, vmi *virtv1.VirtualMachineInstance, _ types.UID, _ *turn) (net.Conn, error) {
			cid := *vmi.Status.VSOCKCID
			conn, err := s.ways.VSOCK(ctx, cid, uint32(port))
			if err == nil && secure {
				conn, err = s.secure(ctx, conn)
			}
			if err != nil {
				return nil, dialError(fmt.Sprintf("connecting to VSOCK %d:%d", cid, port), err)
			}
			return conn, nil
		}})
}

func hasVSOCK(vmi *virtv1.VirtualMachineInstance) error {
	if attach := vmi.Spec.Domain.Devices.AutoattachVSOCK; attach == nil || !*attach {
		return apierrors.NewBadRequest("VSOCK is not attached.")
	}
	if vmi.Status.VSOCKCID == nil {
		return apierrors.NewInternalError(errors.New("VSOCK CID is nil"))
	}
	return nil
}

func (s *Server) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	client := tls.Client(conn, &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // the address is the guest's own, see vsock
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return s.ways.Certificate()
		},
	})
	if err := client.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS (call with tls=false if the guest's program speaks none): %w", err)
	}
	return client, nil
}
