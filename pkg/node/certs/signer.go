package certs

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	subresourcesv1 "github.com/virtplane/virtplane/pkg/apis/subresources/v1"
)

// APISigner asks virt-api, through kube-apiserver.
type APISigner struct{ Client rest.Interface }

// Sign has a request signed.
func (a APISigner) Sign(ctx context.Context, request []byte) (*subresourcesv1.NodeCertificateStatus, error) {
	body, err := json.Marshal(subresourcesv1.NodeCertificate{
		TypeMeta: metav1.TypeMeta{APIVersion: "subresources.kubevirt.io/v1", Kind: "NodeCertificate"},
		Spec:     subresourcesv1.NodeCertificateSpec{Request: request},
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	answer, err := a.Client.Post().AbsPath(subresourcesv1.NodeCertificatePath).
		SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").
		Body(body).DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	var signed subresourcesv1.NodeCertificate
	if err := json.Unmarshal(answer, &signed); err != nil {
		return nil, fmt.Errorf("decoding the answer: %w", err)
	}
	return &signed.Status, nil
}
