-- How Argo CD judges a PersistentChatPool. It follows kstatus, the judgement of Flux and kubectl wait: deletion, the
-- generation, Reconciling, Stalled, Ready, in this order. Conditions are read by type. Argo CD gives a script no library
-- but the basic one and table.
local function health(status, message)
  return { status = status, message = message or "" }
end

local metadata = obj.metadata or {}
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready = conditions.Ready or {}

local function is(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

if metadata.deletionTimestamp ~= nil then
  return health("Progressing", "The object is being deleted; no server is touched.")
end
local suspend = (metadata.annotations or {})["persistentchat.io/suspend"]
if suspend ~= nil and suspend ~= "false" then
  return health("Suspended", ready.message)
end
if status.observedGeneration == nil or conditions.Ready == nil then
  return health("Progressing", "The operator has not looked at the pool yet.")
end
if metadata.generation ~= nil and status.observedGeneration ~= metadata.generation then
  return health("Progressing", "The operator has not seen the last change yet.")
end
if is("Reconciling") then
  -- What Ready says is the longer story: where it is, or what an approval would accept and how it is given.
  return health("Progressing", ready.message)
end
if is("Stalled") then
  return health("Degraded", conditions.Stalled.message)
end
if ready.status == "True" then
  return health("Healthy", ready.message)
end
-- Beyond kstatus, which has no words for these two.
if is("SplitBrainSuspected") then
  return health("Degraded", conditions.SplitBrainSuspected.message)
end
if ready.reason == "NotEnforced" then
  return health("Suspended", ready.message)
end
return health("Progressing", ready.message)
