{{/* Names of a release called mela are those that docs/deploy.md and Terraform know: mela-api, mela-worker-cpu, ... */}}
{{- define "mela.selector" -}}
app.kubernetes.io/name: mela
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "mela.labels" -}}
{{ include "mela.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "mela.image" -}}
{{- $image := .root.Values.image -}}
{{- $digest := get $image.digests .name -}}
{{- $image.registry }}/{{ .name }}{{ if $digest }}@{{ $digest }}{{ else }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* The workers that are on: {name: what it is}, with the defaults filled in. */}}
{{- define "mela.workers" -}}
{{- $workers := dict -}}
{{- range $name, $own := .Values.workers -}}
{{- $worker := mergeOverwrite (deepCopy $.Values.workerDefaults) ($own | default dict) -}}
{{- if $worker.enabled -}}{{- $_ := set $workers $name $worker -}}{{- end -}}
{{- end -}}
{{- toYaml $workers -}}
{{- end }}

{{/* farm.json. A null does not survive Helm, and a pool without quiet_hours would get the default ones. */}}
{{- define "mela.farm" -}}
{{- $pools := dict -}}
{{- range $name, $pool := .Values.farm.pools -}}
{{- $_ := set $pools $name (set (deepCopy $pool) "quiet_hours" (get $pool "quiet_hours" | default nil)) -}}
{{- end -}}
{{- $farm := dict "pools" $pools -}}
{{- with .Values.farm.failure }}{{ $_ := set $farm "failure" . }}{{ end -}}
{{- toJson $farm -}}
{{- end }}

{{- define "mela.maxReplicas" -}}
{{- $pool := get .root.Values.farm.pools .pool | default dict -}}
{{- get $pool "max" | default 20 -}}
{{- end }}

{{- define "mela.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "mela.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "mela.pullSecrets" -}}
{{- with .Values.image.pullSecrets -}}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "mela.env" -}}
- name: MELA_REDIS
  valueFrom: {secretKeyRef: {name: {{ .Values.secrets.redis }}, key: url}}
{{ include "mela.env.common" . }}
{{- end }}

{{- define "mela.workerEnv" -}}
- name: MELA_REDIS
  valueFrom: {secretKeyRef: {name: {{ .Values.secrets.redisWorkers | default .Values.secrets.redis }}, key: url}}
{{ include "mela.env.common" . }}
{{- end }}

{{/* Store and farm, for every program. The metadata service is out of a pod's reach (hop limit 1): it is not asked. */}}
{{- define "mela.env.common" -}}
- {name: MELA_STORE, value: {{ .Values.store.url | quote }}}
- {name: MELA_FARM, value: {{ .Values.farm.name | quote }}}
{{- with .Values.store.endpoint }}
- {name: MELA_S3_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- with .Values.farm.emf }}
- {name: MELA_EMF, value: {{ . | quote }}}
{{- end }}
- {name: AWS_REGION, value: {{ .Values.store.region | quote }}}
- {name: AWS_EC2_METADATA_DISABLED, value: "true"}
{{- end }}

{{- define "mela.envFrom" -}}
{{- with .Values.secrets.s3 -}}
envFrom:
  - secretRef: {name: {{ . }}}
{{- end }}
{{- end }}

{{- define "mela.spread" -}}
topologySpreadConstraints:
  {{- range .keys }}
  - topologyKey: {{ .key }}
    maxSkew: 1
    whenUnsatisfiable: {{ .when }}
    labelSelector:
      matchLabels: {{- include "mela.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
