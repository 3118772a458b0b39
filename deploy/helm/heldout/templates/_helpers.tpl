{{- define "heldout.labels" -}}
app.kubernetes.io/name: heldout
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "heldout.selector" -}}
app.kubernetes.io/name: heldout
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "heldout.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end -}}
{{- end }}

{{- define "heldout.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: {{ .Values.user }}
runAsGroup: {{ .Values.user }}
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "heldout.claim" -}}
- metadata:
    name: {{ .name }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .volume.storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .volume.size }}
{{- end }}

{{- define "heldout.probes" -}}
startupProbe:
  grpc: { port: {{ .port }} }
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  grpc: { port: {{ .port }} }
  periodSeconds: 5
livenessProbe:
  tcpSocket: { port: {{ .name }} }
  periodSeconds: 10
{{- end }}
